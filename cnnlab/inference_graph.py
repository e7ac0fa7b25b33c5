"""The inference tower: from raw images to logits, with the weights that evaluation uses."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnlab.arguments import check
from cnnlab.config import Config
from cnnlab.data.augment import evaluation_view, scaling_of, shape_after
from cnnlab.data.scaling import InputStatistics, build_statistics, scale
from cnnlab.data.specs import DatasetSpec
from cnnlab.errors import CnnlabError
from cnnlab.models import ModelFunction
from cnnlab.models.frozen import DataStart
from cnnlab.step import layer_defaults
from cnnlab.tf1 import tf
from cnnlab.tower import Tower, building
from cnnlab.training.losses import losses_of, probabilities_of


class Inference(NamedTuple):
    """What makes logits of images; the attributes are those of `PredictGraph`."""

    logits: Any
    features: Any
    activations: dict[str, Any]
    statistics: InputStatistics | None
    data_starts: list[DataStart]
    inputs: Any


class PredictGraph(NamedTuple):
    """The inference tower.

    Attributes:
        images_ph: uint8 [batch, height, width, channels], range [0, 255]; no images unless fed.
        labels_ph: int64 [batch], range [0, num_classes).
        logits: float32 [batch, num_classes], unscaled.
        probabilities: float32 [batch, num_classes], each row sums to 1.
        losses: float32 [batch], loss of each image as configured, neither smoothed nor weighted.
        loss: float32 scalar, their mean.
        features: float32 [batch, ...], what the last layer with weights takes in.
        activations: name to output of each layer.
        statistics: what the scaling wants to know of the training set, if anything.
        data_starts: the model's variables that start from training images.
        inputs: float32 [batch, height, width, channels], what the network gets: cropped, scaled.
    """

    images_ph: Any
    labels_ph: Any
    logits: Any
    probabilities: Any
    losses: Any
    loss: Any
    features: Any
    activations: dict[str, Any]
    statistics: InputStatistics | None
    data_starts: list[DataStart]
    inputs: Any


def build_predict_graph(
    config: Config, spec: DatasetSpec, model: ModelFunction, *, as_written: bool = False
) -> PredictGraph:
    """Add the inference tower to the default graph.

    Args:
        config: gives scaling, seed and model options.
        spec: gives image shape and classes.
        model: function (images, num_classes, *, training, **model_options) -> logits.
        as_written: see `cnnlab.tower.Tower`.

    Raises:
        CnnlabError: the model returns something that is not [batch, num_classes] logits.
    """
    with tf.name_scope("input"):
        no_images = tf.zeros([0, *spec.image_shape], tf.uint8)
        images_ph = tf.placeholder_with_default(no_images, [None, *spec.image_shape], "images_ph")
        labels_ph = tf.placeholder_with_default(tf.zeros([0], tf.int64), [None], "labels_ph")
    inference = build_inference(config, spec, model, images_ph, as_written=as_written)
    logits = inference.logits
    with tf.name_scope("loss"):
        losses = losses_of(config, logits, labels_ph)
        loss = tf.reduce_mean(losses)
    return PredictGraph(
        images_ph,
        labels_ph,
        logits,
        probabilities_of(logits, config.resolved_output),
        losses,
        loss,
        inference.features,
        inference.activations,
        inference.statistics,
        inference.data_starts,
        inference.inputs,
    )


def build_inference(
    config: Config,
    spec: DatasetSpec,
    model: ModelFunction,
    images: Any,
    *,
    as_written: bool = False,
) -> Inference:
    """Add what makes logits of images: view, scaling, the network on the weights of evaluation.

    Args: images: uint8 [batch, height, width, channels], range [0, 255].
    """
    with tf.name_scope("input/"):  # the scope of the placeholders, entered again
        scaling = scaling_of(config.augment, config.scaling)
        input_shape = shape_after(config.augment, spec.image_shape)
        statistics = build_statistics(scaling, spec.image_shape, input_shape)
        inputs = scale(evaluation_view(images, config.augment), scaling, statistics)
    weights = config.resolved_eval_weights
    average = None if weights == "live" else weights
    tower = Tower(
        config.seed,
        defaults=layer_defaults(config),
        average=average,
        as_written=as_written,
        fast_convolutions=config.fast_convolutions and not as_written,
    )
    with building(tower):
        logits = model(inputs, spec.num_classes, training=False, **model_options_of(config, model))
    logits = _checked_logits(logits, spec.num_classes)
    features = logits if tower.features is None else tower.features
    return Inference(logits, features, tower.activations, statistics, tower.data_starts, inputs)


def model_options_of(config: Config, model: ModelFunction) -> dict[str, Any]:
    """The options given for the model; its own defaults stand for the rest."""
    checked = check(model, config.model_options, "--model_options")
    return {name: checked[name] for name in config.model_options}


def _checked_logits(logits: Any, num_classes: int) -> Any:
    shape = getattr(logits, "shape", None)
    if shape is None or shape.rank != 2 or shape[1] != num_classes:
        raise CnnlabError(
            f"the model returned {shape}, where logits [batch, {num_classes}] are wanted"
        )
    return logits
