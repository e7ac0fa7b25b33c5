"""Training with slim and `tf.contrib.layers.optimize_loss`: the ops of a step, and slim's loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf

Tensor = Any


def create_train_op(
    total_loss: Tensor,
    optimizer: Any,
    global_step: Any = 0,
    update_ops: Any = None,
    variables_to_train: Any = None,
    clip_gradient_norm: float = 0,
    summarize_gradients: bool = False,
    gate_gradients: Any = 1,
    aggregation_method: Any = None,
    colocate_gradients_with_ops: bool = False,
    gradient_multipliers: Any = None,
    check_numerics: bool = True,
    transform_grads_fn: Any = None,
) -> Tensor:
    """Return a tensor that trains one step and gives the loss.

    global_step: the variable to count steps in; None: none; default: the graph's, which is made.
    update_ops: run before the loss is read; default: those of the collection UPDATE_OPS.
    """
    if isinstance(global_step, int):
        global_step = tf.train.get_or_create_global_step()
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS) if update_ops is None else list(update_ops)
    if updates:
        with tf.control_dependencies(updates):
            total_loss = tf.identity(total_loss, name="update_barrier")
    grads = optimizer.compute_gradients(
        total_loss,
        variables_to_train or tf.trainable_variables(),
        gate_gradients=gate_gradients,
        aggregation_method=aggregation_method,
        colocate_gradients_with_ops=colocate_gradients_with_ops,
    )
    if transform_grads_fn is not None:
        grads = transform_grads_fn(grads)
    if gradient_multipliers:
        grads = [
            (grad * gradient_multipliers.get(v, gradient_multipliers.get(v.op.name, 1.0)), v)
            for grad, v in grads
        ]
    if clip_gradient_norm > 0:
        grads = clip_gradient_norms(grads, clip_gradient_norm)
    apply = optimizer.apply_gradients(grads, global_step=global_step)
    if check_numerics:
        total_loss = tf.check_numerics(total_loss, "LossTensor is inf or nan")
    with tf.control_dependencies([apply]):
        train_op = tf.identity(total_loss, name="train_op")
    tf.add_to_collection(tf.GraphKeys.TRAIN_OP, train_op)
    return train_op


def clip_gradient_norms(gradients_to_variables: Any, max_norm: float) -> list[Any]:
    """Return the gradients, each with a norm of at most max_norm."""
    return [
        (None if grad is None else tf.clip_by_norm(grad, max_norm), variable)
        for grad, variable in gradients_to_variables
    ]


def train(
    train_op: Tensor,
    logdir: str | None,
    train_step_fn: Any = None,
    log_every_n_steps: int = 1,
    graph: Any = None,
    master: str = "",
    is_chief: bool = True,
    global_step: Any = None,
    number_of_steps: int | None = None,
    init_op: Any = None,
    init_feed_dict: Any = None,
    local_init_op: Any = None,
    init_fn: Callable[[Any], None] | None = None,
    ready_op: Any = None,
    summary_op: Any = 0,
    save_summaries_secs: int | None = 600,
    summary_writer: Any = None,
    saver: Any = None,
    save_interval_secs: int | None = 600,
    session_config: Any = None,
    **_: Any,
) -> float:
    """Run slim's training loop until number_of_steps; return the last loss.

    The directory gets checkpoints and summaries as of slim; a run there goes on.
    """
    graph = graph or tf.get_default_graph()
    with building_in(graph):
        step = global_step if global_step is not None else tf.train.get_or_create_global_step()
        hooks: list[Any] = []
        if number_of_steps is not None:
            hooks.append(tf.train.StopAtStepHook(last_step=number_of_steps))
        summary = tf.summary.merge_all() if isinstance(summary_op, int) else summary_op
        if logdir and summary is not None and save_summaries_secs:
            hooks.append(
                tf.train.SummarySaverHook(
                    save_secs=save_summaries_secs, output_dir=logdir, summary_op=summary
                )
            )
        scaffold = tf.train.Scaffold(
            init_op=init_op,
            init_feed_dict=init_feed_dict,
            init_fn=None if init_fn is None else lambda _scaffold, session: init_fn(session),
            saver=saver,
            local_init_op=local_init_op,
        )
        loss = 0.0
        with tf.train.MonitoredTrainingSession(
            master,
            is_chief,
            checkpoint_dir=logdir,
            scaffold=scaffold,
            hooks=hooks,
            save_checkpoint_secs=save_interval_secs,
            save_summaries_steps=None,
            save_summaries_secs=None,
            config=session_config,
            log_step_count_steps=None,
        ) as session:
            while not session.should_stop():
                loss, number = session.run([train_op, step])
                if log_every_n_steps and number % log_every_n_steps == 0:
                    tf.logging.info("global step %d: loss = %.4f", number, loss)
        return float(loss)


def optimize_loss(
    loss: Tensor,
    global_step: Any,
    learning_rate: Any,
    optimizer: Any,
    gradient_noise_scale: float | None = None,
    gradient_multipliers: Any = None,
    clip_gradients: Any = None,
    learning_rate_decay_fn: Any = None,
    update_ops: Any = None,
    variables: Any = None,
    name: str | None = None,
    summaries: Sequence[str] | None = None,
    colocate_gradients_with_ops: bool = False,
    increment_global_step: bool = True,
) -> Tensor:
    """Return a tensor that trains one step and gives the loss; of tf.contrib.layers.

    optimizer: "Adam", "SGD" and the like, a class, a function of the learning rate, or an object.
    """
    if gradient_noise_scale is not None:
        raise ValueError("gradient_noise_scale is not available here")
    with tf.variable_scope(name, "OptimizeLoss", [loss, global_step]):
        step = tf.train.get_or_create_global_step() if global_step is None else global_step
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS) if update_ops is None else update_ops
        if updates:
            with tf.control_dependencies(list(updates)):
                loss = tf.identity(loss)
        rate = learning_rate
        if rate is not None and not isinstance(rate, tf.Tensor):
            rate = tf.get_variable(
                "learning_rate", [], trainable=False, initializer=tf.constant_initializer(rate)
            )
        if learning_rate_decay_fn is not None:
            rate = learning_rate_decay_fn(rate, step)
        if summaries is None or "learning_rate" in summaries:
            tf.summary.scalar("learning_rate", rate)
        made = _optimizer(optimizer, rate)
        grads = made.compute_gradients(
            loss,
            variables or tf.trainable_variables(),
            colocate_gradients_with_ops=colocate_gradients_with_ops,
        )
        if gradient_multipliers:
            grads = [(g * gradient_multipliers.get(v, 1.0), v) for g, v in grads]
        if isinstance(clip_gradients, int | float):
            kept = [(g, v) for g, v in grads if g is not None]
            clipped, _norm = tf.clip_by_global_norm([g for g, _ in kept], clip_gradients)
            grads = list(zip(clipped, [v for _, v in kept], strict=True))
        elif callable(clip_gradients):
            grads = clip_gradients(grads)
        if summaries is None or "loss" in summaries:
            tf.summary.scalar("loss", loss)
        apply = made.apply_gradients(
            grads, global_step=step if increment_global_step else None, name="train"
        )
        with tf.control_dependencies([apply]):
            return tf.identity(loss)


def _optimizer(given: Any, rate: Any) -> Any:
    names = {
        "Adagrad": tf.train.AdagradOptimizer,
        "Adam": tf.train.AdamOptimizer,
        "Ftrl": tf.train.FtrlOptimizer,
        "Momentum": lambda rate: tf.train.MomentumOptimizer(rate, momentum=0.9),
        "RMSProp": tf.train.RMSPropOptimizer,
        "SGD": tf.train.GradientDescentOptimizer,
    }
    if isinstance(given, str):
        if given not in names:
            raise ValueError(f"Optimizer name should be one of [{', '.join(names)}], is {given}")
        return names[given](rate)
    if isinstance(given, tf.train.Optimizer):
        return given
    return given(rate) if rate is not None else given()
