"""One training step: the training tower, its gradients, one update. A pure function of the
variables, the step and its batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cnnlab.base.tf1 import tf, tf2
from cnnlab.config.config import Config
from cnnlab.data.batches import Batch
from cnnlab.graph.update.averages import Averages
from cnnlab.graph.update.losses import training_losses
from cnnlab.graph.update.optimizers import build_update
from cnnlab.graph.update.precision import LossScale
from cnnlab.layers.kernels.products import fast_product_gradients
from cnnlab.layers.tower import DenseProducts, LayerDefaults, Tower, building
from cnnlab.models import ModelFunction

APART: Final = "apart"  # scope of calls of functions whose operations run under names of their own


class StepContext(NamedTuple):
    """What every step has in common.

    config: the run's options.
    num_classes: number of classes.
    model: function (images, num_classes, *, training, **model_options) -> logits.
    model_options: its own arguments.
    rate_at: function of the step (int64 scalar) that gives the learning rate (float32 scalar).
    averages: the averages of the weights.
    global_step: the variable that counts steps.
    loss_scale: with precision float16.
    has_pools: whether the network takes maxima over windows, and oneDNN computes them.
    compiles_loop: whether many steps are compiled into one operation; see
    `cnnlab.graph.compiled_steps`.
    """

    config: Config
    num_classes: int
    model: ModelFunction
    model_options: dict[str, Any]
    rate_at: Any
    averages: Averages
    global_step: Any
    loss_scale: LossScale | None
    has_pools: bool
    compiles_loop: bool = False


class StepsMade(NamedTuple):
    """What is known after some steps.

    made: int32 scalar, their number.
    objective: float32 scalar that the last one minimized; where it is not finite, no more were
        made.
    last: of the last one's batch, logits float32 [batch, num_classes], and what losses need: see
        `cnnlab.data.batches.without_inputs`.
    """

    made: Any
    objective: Any
    last: Batch


class TowerResult(NamedTuple):
    """What one pass forward and back gives.

    objective: float32 scalar that is minimized: loss and penalties.
    logits: float32 [batch, num_classes], unscaled.
    gradients: of each trainable variable; None where it does not enter the objective.
    moving_averages: ops that update batch norm's.
    """

    objective: Any
    logits: Any
    gradients: list[Any]
    moving_averages: list[Any]


def build_step(context: StepContext, batch: Batch, step: Any) -> tuple[Any, Any, Any]:
    """Add one update of all variables.

    Args:
        context: what every step has in common.
        batch: see `cnnlab.data.batches`.
        step: int64 scalar, 0 for the first.

    Returns:
        objective: float32 scalar; logits: float32 [batch, num_classes]; update_op.
    """

    def one_step(step: Any, batch: Batch) -> tuple[Any, Any]:
        objective, logits, update_op = build_plain_step(context, batch, step)
        with tf.control_dependencies([update_op]):
            return tf.identity(objective), tf.identity(logits)

    if context.config.xla is True:
        # Not TensorFlow's clusters (jit_scope, global_jit_level): these run uncompiled the first
        # time, so that what a run computes would depend on where it was stopped.
        call = tf2.function(one_step, jit_compile=True, autograph=False)
    elif context.has_pools:
        call = _apart(one_step)
    else:
        return build_plain_step(context, batch, step)
    objective, logits = call(step, batch)
    logits.set_shape([None, context.num_classes])
    return objective, logits, objective.op


def _apart(build: Callable[..., Any]) -> Callable[..., Any]:
    """The same as a call of a function, whose graph is its own.

    TensorFlow gives the gradient of a pool to oneDNN only if it meets the pool first on its way
    through the graph. In a loop each is ahead of the other, and where the way begins is chance: in
    one process of five `cifar_cnn` got the kernel that takes ten times as long. The graph of a
    function has no way back. A call costs some microseconds, which steps without pools do without.
    """
    function = tf2.function(build, autograph=False, experimental_attributes={"_noinline": True})

    def call(*arguments: Any) -> Any:
        with tf.name_scope(APART):
            return function(*arguments)

    return call


def build_plain_step(context: StepContext, batch: Batch, step: Any) -> tuple[Any, Any, Any]:
    """As `build_step`, always in operations of the current graph, whatever compiles that."""
    count = context.config.accumulate_steps
    if count == 1:
        result = _build_tower(context, batch, step)
    else:
        result = _build_micro_batches(context, batch, step, count)
    variables = tf.trainable_variables()

    def update() -> Any:
        rate = context.rate_at(step)
        return build_update(context.config, result.gradients, variables, rate, context.global_step)

    # What the objective is made of is read before any of it is updated, even where its gradient
    # is a constant and would not wait.
    before = [result.objective]
    if result.moving_averages:
        # One input for each operation of the update, not one for each layer with batch norm.
        before.append(tf.group(*result.moving_averages))
    with tf.name_scope("optimizer"), tf.control_dependencies(before):
        if context.loss_scale is None:
            update_op = update()
        else:
            update_op = context.loss_scale.build_update(
                result.gradients, update, context.global_step
            )
        update_op = context.averages.build_update(step, update_op)
    return result.objective, result.logits, update_op


def _build_tower(context: StepContext, batch: Batch, key_step: Any) -> TowerResult:
    """The network over a batch, and its gradients; `key_step` as `build_training_logits`."""
    config = context.config
    logits, tower = build_training_logits(context, batch["inputs"], key_step)
    with tf.name_scope("loss"):
        objective = tf.reduce_mean(training_losses(config, logits, batch))
        if tower.penalties:
            objective += tf.add_n(tower.penalties)
    # Batch norm's moving averages; a collection is shared by all graphs of a loop, so pick this
    # body's.
    body_graph = objective.graph
    moving_averages = [
        op for op in tf.get_collection(tf.GraphKeys.UPDATE_OPS) if op.graph is body_graph
    ]
    with tf.name_scope("gradients"):
        variables = tf.trainable_variables()
        if context.loss_scale is not None:
            gradients = context.loss_scale.gradients(objective, variables)
        else:
            # Not gated, unlike in tf.train's optimizers: the way back through a layer's inputs goes
            # on while the gradient of its weights is still computed.
            gradients = tf.gradients(objective, variables)
    return TowerResult(objective, logits, gradients, moving_averages)


def build_training_logits(context: StepContext, inputs: Any, key_step: Any) -> tuple[Any, Tower]:
    """Add the network as it trains.

    Args:
        context: what every step has in common.
        inputs: float32 [batch, height, width, channels].
        key_step: int64 scalar that the tower's randomness is drawn for.

    Returns:
        logits: float32 [batch, num_classes]; the tower.
    """
    config = context.config
    tower = Tower(
        config.seed,
        key_step,
        batch_size=config.batch_size // config.accumulate_steps,
        defaults=LayerDefaults.of(config),
        fast_kernels=config.fast_kernels and config.xla is not True,  # which has no groups
        precision=config.precision,
        dense_products=_dense_products(context),
    )
    with building(tower), fast_product_gradients():
        logits = context.model(inputs, context.num_classes, training=True, **context.model_options)
    return logits, tower


def _dense_products(context: StepContext) -> DenseProducts:
    if context.compiles_loop:
        return "turned"
    return "plain" if context.config.xla is True else "uneven"


def _build_micro_batches(context: StepContext, batch: Batch, step: Any, count: int) -> TowerResult:
    """The same over `count` parts of the batch, one after the other.

    Gradients and objective are means over the batch, so without batch norm and dropout they are
    those of the whole batch but for rounding. Batch norm sees the parts; its moving averages are
    updated by each.
    """
    size = tf.shape(batch["labels"])[0]
    variables = tf.trainable_variables()
    parts_of_none: list[Any] = []

    def body(j: Any, objective: Any, logits: Any, *sums: Any) -> Any:
        # A batch that is fed need not be divisible.
        start, end = size * j // count, size * (j + 1) // count
        part = {name: tensor[start:end] for name, tensor in batch.items()}
        part["inputs"] = tf.ensure_shape(part["inputs"], batch["inputs"].shape)
        share = tf.cast(end - start, tf.float32) / tf.cast(size, tf.float32)
        result = _build_tower(context, part, step * count + tf.cast(j, tf.int64))
        parts_of_none[:] = [gradient is None for gradient in result.gradients]
        new_sums = [
            total if gradient is None else total + share * gradient
            for total, gradient in zip(sums, result.gradients, strict=True)
        ]
        # Nothing of a part may still be under way when the next begins: that is what saves memory.
        with tf.control_dependencies([*result.moving_averages, *new_sums]):
            return (
                j + 1,
                objective + share * result.objective,
                tf.concat([logits, result.logits], axis=0),
                *new_sums,
            )

    start = (
        tf.constant(0),
        tf.constant(0.0),
        tf.zeros([0, context.num_classes], tf.float32),
        *[tf.zeros(variable.shape, variable.dtype.base_dtype) for variable in variables],
    )
    shapes = [value.shape for value in start]
    shapes[2] = tf.TensorShape([None, context.num_classes])
    _, objective, logits, *sums = tf.while_loop(
        lambda j, *_: j < count,
        _apart(body) if context.has_pools else body,
        start,
        shape_invariants=tuple(shapes),
        parallel_iterations=1,
        name="micro_batches",
    )
    gradients = [
        None if is_none else total for is_none, total in zip(parts_of_none, sums, strict=True)
    ]
    return TowerResult(objective, logits, gradients, [])
