"""The static graphs: one to predict and evaluate, one to train as well.

The training graph has two towers over the same variables. The inference tower stands in the open,
on the placeholders. The training tower stands in the body of a while loop that makes many steps in
one session run; it also reads ahead: while a step computes, the next one's batch is drawn and
prepared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cnnlab.config import Config
from cnnlab.data.augment import augment, scale
from cnnlab.data.pipeline import build_resident_data, make_index_stream
from cnnlab.data.specs import DatasetSpec
from cnnlab.errors import CnnlabError
from cnnlab.models import ModelFunction
from cnnlab.summaries import build_layer_summaries
from cnnlab.tf1 import tf
from cnnlab.tower import Tower, building
from cnnlab.training.losses import softmax_cross_entropy
from cnnlab.training.optimizers import make_optimizer
from cnnlab.training.schedules import learning_rate_at


class PredictGraph(NamedTuple):
    """The inference tower.

    Attributes:
        images_ph: uint8 [batch, height, width, channels], range [0, 255]; no images unless fed.
        labels_ph: int64 [batch], range [0, num_classes).
        logits: float32 [batch, num_classes], unscaled.
        probabilities: float32 [batch, num_classes], each row sums to 1.
        losses: float32 [batch], cross-entropy of each image, in nats.
        loss: float32 scalar, their mean.
        activations: name to output of each layer.
    """

    images_ph: Any
    labels_ph: Any
    logits: Any
    probabilities: Any
    losses: Any
    loss: Any
    activations: dict[str, Any]


class TrainGraph(NamedTuple):
    """A training graph; see `build_train_graph`.

    Attributes:
        tower: the inference tower, whose placeholders also feed `train_op`.
        steps_ph: int32 scalar, how many steps one run of `train_op` makes; 1 unless fed.
        train_op: makes the steps.
        global_step: int64 scalar variable, steps made so far.
        train_loss: float32 scalar, mean cross-entropy of the last step's batch; fetching it trains.
        train_accuracy: float32 scalar in [0, 1], of the same batch; fetching it trains.
        learning_rate: float32 scalar that the last step used; fetching it trains.
        objective: float32 scalar that the last step minimized: loss and penalties; fetching it
            trains.
        last_rate: float32 scalar, the rate of the step before; fetching it does not train.
        weights_are_finite: bool scalar, whether no trainable variable has a NaN or an infinity.
        rollbacks: int64 scalar variable, rollbacks so far; None unless configured.
        layer_summaries: bytes scalar, the tower's layer statistics; None unless configured.
        fill_data: a function (session, images, labels) that makes the training set resident.
        init_op: gives every variable its start.
    """

    tower: PredictGraph
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
    fill_data: Callable[[Any, Any, Any], None]
    init_op: Any


def build_predict_graph(config: Config, spec: DatasetSpec, model: ModelFunction) -> PredictGraph:
    """Add the inference tower to the default graph.

    Args:
        config: gives scaling, seed and model options.
        spec: gives image shape and classes.
        model: function (images, num_classes, *, training, **model_options) -> logits.

    Raises:
        CnnlabError: the model returns something that is not [batch, num_classes] logits.
    """
    with tf.name_scope("input"):
        no_images = tf.zeros([0, *spec.image_shape], tf.uint8)
        images_ph = tf.placeholder_with_default(no_images, [None, *spec.image_shape], "images_ph")
        labels_ph = tf.placeholder_with_default(tf.zeros([0], tf.int64), [None], "labels_ph")
        inputs = scale(images_ph, config.scaling)
    with building(Tower(config.seed)) as tower:
        logits = _checked_logits(
            model(inputs, spec.num_classes, training=False, **config.model_options),
            spec.num_classes,
        )
    with tf.name_scope("loss"):
        losses = softmax_cross_entropy(labels_ph, logits)
        loss = tf.reduce_mean(losses)
    return PredictGraph(
        images_ph,
        labels_ph,
        logits,
        tf.nn.softmax(logits, name="probabilities"),
        losses,
        loss,
        tower.activations,
    )


def build_train_graph(
    config: Config, spec: DatasetSpec, model: ModelFunction, num_train: int, first_step: int
) -> TrainGraph:
    """Add both towers, the input stream and the fused training loop to the default graph.

    Args:
        config: the run's options.
        spec: gives image shape and classes.
        model: function (images, num_classes, *, training, **model_options) -> logits.
        num_train: number of training images.
        first_step: the step the input stream starts at: the global step it will be resumed at.
    """
    global_step = tf.train.get_or_create_global_step()
    predict = build_predict_graph(config, spec, model)
    rollbacks = None
    if config.on_nan == "rollback":  # a variable, so that checkpoints remember the lowered rate
        rollbacks = tf.get_variable(
            "rollbacks", [], tf.int64, tf.zeros_initializer(), trainable=False
        )

    def rate_at(step: Any) -> Any:
        """float32 scalar: the schedule's rate, lowered by the rollbacks."""
        rate = learning_rate_at(config, step)
        if rollbacks is None:
            return rate
        return rate * tf.pow(config.rollback_factor, tf.cast(rollbacks.read_value(), tf.float32))

    with tf.name_scope("data"):
        data_images, data_labels, fill_data = build_resident_data(spec.image_shape, num_train)
        stream = make_index_stream(num_train, config.batch_size, config.seed, first_step)
    with tf.name_scope("training"):
        steps_ph = tf.placeholder_with_default(tf.constant(1, tf.int32), [], "steps_ph")
        start = tf.identity(global_step.read_value(), "start")

        def prepare(images: Any, step: Any) -> Any:
            """uint8 images to the network's float32 input, as the step has it."""
            with tf.name_scope("prepare"):
                return scale(
                    augment(images, config.augment, Tower(config.seed, step)), config.scaling
                )

        def draw(step: Any) -> tuple[Any, Any]:
            """The input and labels of a step, from the stream."""
            indices = stream.get_next()
            return prepare(tf.gather(data_images, indices), step), tf.gather(data_labels, indices)

        def first_batch() -> tuple[Any, Any]:
            """The first step's batch: what is fed, else the stream's. Fed or not, the stream moves
            on."""
            indices = stream.get_next()
            is_fed = tf.shape(predict.images_ph)[0] > 0
            images, labels = tf.cond(
                is_fed,
                lambda: (predict.images_ph, predict.labels_ph),
                lambda: (tf.gather(data_images, indices), tf.gather(data_labels, indices)),
            )
            return prepare(images, start), labels

        def body(
            i: Any, _objective: Any, _logits: Any, _labels: Any, inputs: Any, labels: Any
        ) -> Any:
            step = start + tf.cast(i, tf.int64)
            objective, logits, update_op = _build_step(
                config, spec, model, inputs, labels, step, global_step, rate_at(step)
            )
            # Read ahead, but never past the run's last step: the stream must stand where the step
            # does. And not before this step's own batch was drawn, or the two would change places.
            with tf.control_dependencies([labels]):
                next_inputs, next_labels = tf.cond(
                    i + 1 < steps_ph, lambda: draw(step + 1), lambda: (inputs, labels)
                )
            with tf.control_dependencies([update_op]):
                return i + 1, tf.identity(objective), logits, labels, next_inputs, next_labels

        inputs, labels = first_batch()
        inputs = tf.ensure_shape(inputs, [None, *spec.image_shape])
        no_logits = tf.zeros([0, spec.num_classes], tf.float32)
        loop_start = (
            tf.constant(0),
            tf.constant(0.0),
            no_logits,
            tf.zeros([0], tf.int64),
            inputs,
            labels,
        )
        shapes = tuple(
            tf.TensorShape(shape)
            for shape in (
                [],
                [],
                [None, spec.num_classes],
                [None],
                [None, *spec.image_shape],
                [None],
            )
        )
        # A step whose objective is not finite is the last one: nothing is built on broken weights.
        made, objective, logits, labels, _, _ = tf.while_loop(
            lambda i, objective, *_: tf.logical_and(i < steps_ph, tf.is_finite(objective)),
            body,
            loop_start,
            shape_invariants=shapes,
            parallel_iterations=1,
            name="steps",
        )
        correct = tf.equal(tf.argmax(logits, axis=1), labels)
        train_accuracy = tf.reduce_mean(tf.cast(correct, tf.float32), name="accuracy")
        train_loss = tf.reduce_mean(softmax_cross_entropy(labels, logits), name="loss")
        last_step = start + tf.cast(made, tf.int64) - 1
        learning_rate = tf.identity(rate_at(last_step), "learning_rate")
        weights_are_finite = tf.reduce_all(
            [tf.reduce_all(tf.is_finite(variable)) for variable in tf.trainable_variables()]
        )
    with tf.name_scope("layer_summaries"):
        layer_summaries = (
            build_layer_summaries(predict.activations) if config.layer_summaries else None
        )
    return TrainGraph(
        tower=predict,
        steps_ph=steps_ph,
        train_op=made.op,
        global_step=global_step,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        learning_rate=learning_rate,
        objective=objective,
        last_rate=rate_at(start - 1),
        weights_are_finite=weights_are_finite,
        rollbacks=rollbacks,
        layer_summaries=layer_summaries,
        fill_data=fill_data,
        init_op=tf.global_variables_initializer(),
    )


def _build_step(
    config: Config,
    spec: DatasetSpec,
    model: ModelFunction,
    inputs: Any,
    labels: Any,
    step: Any,
    global_step: Any,
    learning_rate: Any,
) -> tuple[Any, Any, Any]:
    """The training tower: one update of all variables, a pure function of (variables, step).

    Returns:
        objective: float32 scalar; logits: float32 [batch, num_classes]; update_op.
    """
    with building(Tower(config.seed, step)) as tower:
        logits = model(inputs, spec.num_classes, training=True, **config.model_options)
    with tf.name_scope("loss"):
        objective = tf.reduce_mean(softmax_cross_entropy(labels, logits))
        if tower.penalties:
            objective += tf.add_n(tower.penalties)
    # Batch norm's moving averages; a collection is shared by all graphs of a loop, so pick this
    # body's.
    body_graph = objective.graph
    moving_averages = [
        op for op in tf.get_collection(tf.GraphKeys.UPDATE_OPS) if op.graph is body_graph
    ]
    with tf.name_scope("optimizer"):
        optimizer = make_optimizer(config, learning_rate)
        gradients = optimizer.compute_gradients(objective, tf.trainable_variables())
        with tf.control_dependencies(moving_averages):
            update_op = optimizer.apply_gradients(gradients, global_step=global_step)
    return objective, logits, update_op


def _checked_logits(logits: Any, num_classes: int) -> Any:
    shape = getattr(logits, "shape", None)
    if shape is None or shape.rank != 2 or shape[1] != num_classes:
        raise CnnlabError(
            f"the model returned {shape}, where logits [batch, {num_classes}] are wanted"
        )
    return logits
