"""The training graph.

It has two towers over the same variables. The inference tower stands in the open, on the
placeholders; see `cnnlab.graph.inference_graph`. The training tower stands in the body of a while
loop
that makes many steps in one session run, one by one (`cnnlab.graph.steps`) or, of the smallest
networks, many in one compiled operation (`cnnlab.graph.compiled_steps`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cnnlab.base.tf1 import is_on_cpu, onednn_is_on, tf
from cnnlab.config.config import Config
from cnnlab.data.batches import BatchSource
from cnnlab.data.datasets import Split
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.compiled_steps import make_compiled_steps, steps_to_compile
from cnnlab.graph.inference_graph import InferenceGraph, build_inference_graph, model_options_of
from cnnlab.graph.layer_summaries import build_layer_summaries
from cnnlab.graph.step import StepContext
from cnnlab.graph.steps import make_steps_one_by_one
from cnnlab.graph.update.averages import Averages, network_variables
from cnnlab.graph.update.losses import training_losses
from cnnlab.graph.update.plateau import Plateau, build_plateau
from cnnlab.graph.update.precision import LossScale
from cnnlab.graph.update.schedules import learning_rate_at
from cnnlab.models import ModelFunction


class TrainGraph(NamedTuple):
    """A training graph; see `build_train_graph`.

    Attributes:
        inference: the inference graph, whose placeholders also feed `train_op`.
        steps_ph: int32 scalar, how many steps one run of `train_op` makes; 1 unless fed.
        train_op: makes the steps.
        global_step: int64 scalar variable, steps made so far.
        train_loss: float32 scalar, mean loss of the last step's batch, without penalties; fetching
            it trains.
        train_accuracy: float32 scalar in [0, 1], of the same batch, against the larger share
            where labels are mixed; fetching it trains.
        learning_rate: float32 scalar that the last step used; fetching it trains.
        objective: float32 scalar that the last step minimized: loss and penalties; fetching it
            trains.
        last_rate: float32 scalar, the rate of the step before; fetching it does not train.
        weights_are_finite: bool scalar, whether no trainable variable has a NaN or an infinity.
        rollbacks: int64 scalar variable, rollbacks so far; None unless configured.
        layer_summaries: bytes scalar, the inference tower's layer statistics; None unless
            configured.
        fill_data: a function (session, train split) that makes the training set resident.
        plateau: the state of the schedule plateau; None with another schedule.
        variables: the network's own.
        init_op: gives every variable its start.
    """

    inference: InferenceGraph
    steps_ph: Any
    train_op: Any
    global_step: Any
    train_loss: Any
    train_accuracy: Any
    learning_rate: Any
    objective: Any
    last_rate: Any
    weights_are_finite: Any
    rollbacks: Any
    layer_summaries: Any
    fill_data: Callable[[Any, Split], None]
    plateau: Plateau | None
    variables: list[Any]
    init_op: Any


def build_train_graph(
    config: Config,
    spec: DatasetSpec,
    model: ModelFunction,
    num_train: int,
    first_step: int,
    *,
    has_example_weights: bool = False,
) -> TrainGraph:
    """Add both towers, the input stream and the fused training loop to the default graph.

    Args:
        config: the run's options.
        spec: gives image shape and classes.
        model: function (images, num_classes, *, training, **model_options) -> logits.
        num_train: number of training images.
        first_step: the step the input stream starts at: the global step it will be resumed at.
        has_example_weights: whether the training data has a weight for each image.
    """
    global_step = tf.train.get_or_create_global_step()
    predict = build_inference_graph(config, spec, model)
    total_steps = config.schedule_length(num_train)
    variables = network_variables()
    averages = Averages(config, variables, total_steps)
    rollbacks = None
    if config.on_nan == "rollback":  # a variable, so that checkpoints remember the lowered rate
        rollbacks = tf.get_variable(
            "rollbacks", [], tf.int64, tf.zeros_initializer(), trainable=False
        )
    loss_scale = LossScale() if config.precision == "float16" else None
    with tf.name_scope("training") as training_scope:
        steps_ph = tf.placeholder_with_default(tf.constant(1, tf.int32), [], "steps_ph")
        start = tf.identity(global_step.read_value(), "start")
        plateau = build_plateau(config) if config.schedule == "plateau" else None

        def rate_at(step: Any) -> Any:
            """float32 scalar: the schedule's rate, lowered by the rollbacks."""
            rate = learning_rate_at(config, step, total_steps, plateau.rate if plateau else None)
            if rollbacks is None:
                return rate
            factor = tf.cast(rollbacks.read_value(), tf.float32)
            return rate * tf.pow(config.rollback_factor, factor)

        context = StepContext(
            config,
            spec.num_classes,
            model,
            model_options_of(config, model),
            rate_at,
            averages,
            global_step,
            loss_scale,
            _has_pools_of_onednn(config, predict.logits),
        )

    num_compiled = steps_to_compile(context, spec.image_shape)
    with tf.name_scope("data"):
        source = BatchSource(
            config,
            spec,
            num_train,
            first_step,
            predict.statistics,
            has_example_weights=has_example_weights,
            steps_in_chunk=num_compiled,
        )
    with tf.name_scope(training_scope):
        if num_compiled:
            make_steps, context = make_compiled_steps, context._replace(compiles_loop=True)
        else:
            make_steps = make_steps_one_by_one
        made, objective, last = make_steps(context, source, predict, start, steps_ph)
    with tf.name_scope("metrics"):
        logits = last["logits"]
        truth = tf.argmax(last["targets"], axis=1) if "targets" in last else last["labels"]
        correct = tf.equal(tf.argmax(logits, axis=1), truth)
        train_accuracy = tf.reduce_mean(tf.cast(correct, tf.float32), name="accuracy")
        train_loss = tf.reduce_mean(training_losses(config, logits, last), name="loss")
        last_step = start + tf.cast(made, tf.int64) - 1
        learning_rate = tf.identity(rate_at(last_step), "learning_rate")
        last_rate = rate_at(start - 1)
    with tf.name_scope("finite_weights"):
        weights_are_finite = tf.reduce_all(
            [tf.reduce_all(tf.is_finite(variable)) for variable in tf.trainable_variables()]
        )
    with tf.name_scope("layer_summaries"):
        layer_summaries = (
            build_layer_summaries(predict.activations) if config.layer_summaries else None
        )
    return TrainGraph(
        inference=predict,
        steps_ph=steps_ph,
        train_op=made.op,
        global_step=global_step,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        learning_rate=learning_rate,
        objective=objective,
        last_rate=last_rate,
        weights_are_finite=weights_are_finite,
        rollbacks=rollbacks,
        layer_summaries=layer_summaries,
        fill_data=source.fill,
        plateau=plateau,
        variables=variables,
        init_op=tf.global_variables_initializer(),
    )


def _has_pools_of_onednn(config: Config, logits: Any) -> bool:
    operations = logits.graph.get_operations()
    return (
        any(operation.type == "MaxPool" for operation in operations)
        and is_on_cpu(logits)
        and onednn_is_on()
        and config.xla is not True  # compiles them itself
    )
