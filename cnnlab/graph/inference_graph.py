"""The inference graph: from raw images to logits, with the weights that evaluation uses."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.config.arguments import check
from cnnlab.config.config import Config
from cnnlab.data.augment import evaluation_view, scaling_of, shape_after
from cnnlab.data.scaling import InputStatistics, build_statistics, scale
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.update.losses import losses_of, probabilities_of
from cnnlab.layers.data_start import DataStart
from cnnlab.layers.tower import LayerDefaults, Tower, building, inference_kernels
from cnnlab.models import ModelFunction


class InferenceGraph(NamedTuple):
    """The network as evaluation and prediction compute it.

    Attributes:
        images_ph: uint8 [batch, height, width, channels], range [0, 255]; no images by default.
        labels_ph: int64 [batch], range [0, num_classes).
        logits: float32 [batch, num_classes], unscaled.
        probabilities: float32 [batch, num_classes], each row sums to 1.
        losses: float32 [batch], loss of each image as configured, neither smoothed nor weighted.
        loss: float32 scalar, their mean.
        features: float32 [batch, ...], the input of the last layer with weights.
        activations: name to output of each layer.
        statistics: statistics of the training set that the scaling needs; None: it needs none.
        data_starts: the model's variables that start from training images.
        inputs: float32 [batch, height, width, channels], input of the network: cropped, scaled.
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


def build_inference_graph(
    config: Config,
    spec: DatasetSpec,
    model: ModelFunction,
    *,
    images: Any = None,
    as_written: bool = False,
) -> InferenceGraph:
    """Add the inference graph to the default graph.

    Args:
        config: gives scaling, seed and model options.
        spec: gives image shape and classes.
        model: function (images, num_classes, *, training, **model_options) -> logits.
        images: uint8 [batch, height, width, channels], range [0, 255], instead of the placeholder
            `images_ph`.
        as_written: compute the layers in the order in which the model has them, with TensorFlow's
            own kernels. Exports need this, and so do gradients with respect to a layer's output.

    Raises:
        CnnlabError: the model returns something that is not [batch, num_classes] logits.
    """
    with tf.name_scope("input"):
        images_ph = _build_images_ph(spec) if images is None else images
        labels_ph = tf.placeholder_with_default(tf.zeros([0], tf.int64), [None], "labels_ph")
        scaling = scaling_of(config.augment, config.scaling)
        input_shape = shape_after(config.augment, spec.image_shape)
        statistics = build_statistics(scaling, spec.image_shape, input_shape)
        inputs = scale(evaluation_view(images_ph, config.augment), scaling, statistics)
    weights = config.resolved_eval_weights
    tower = Tower(
        config.seed,
        defaults=LayerDefaults.of(config),
        average=None if weights == "live" else weights,
        kernels=inference_kernels(is_fast=config.fast_kernels and not as_written),
    )
    with building(tower):
        logits = model(inputs, spec.num_classes, training=False, **model_options_of(config, model))
    logits = _checked_logits(logits, spec.num_classes)
    with tf.name_scope("loss"):
        losses = losses_of(config, logits, labels_ph)
        loss = tf.reduce_mean(losses)
    return InferenceGraph(
        images_ph=images_ph,
        labels_ph=labels_ph,
        logits=logits,
        probabilities=probabilities_of(logits, config.resolved_output),
        losses=losses,
        loss=loss,
        features=logits if tower.features is None else tower.features,
        activations=tower.activations,
        statistics=statistics,
        data_starts=tower.data_starts,
        inputs=inputs,
    )


def _build_images_ph(spec: DatasetSpec) -> Any:
    no_images = tf.zeros([0, *spec.image_shape], tf.uint8)
    return tf.placeholder_with_default(no_images, [None, *spec.image_shape], "images_ph")


def model_options_of(config: Config, model: ModelFunction) -> dict[str, Any]:
    """Return the options given for the model, checked; the model's defaults apply to the rest."""
    checked = check(model, config.model_options, "--model_options")
    return {name: checked[name] for name in config.model_options}


def _checked_logits(logits: Any, num_classes: int) -> Any:
    shape = getattr(logits, "shape", None)
    if shape is None or shape.rank != 2 or shape[1] != num_classes:
        raise CnnlabError(
            f"the model returned {shape}; it must return logits [batch, {num_classes}]"
        )
    return logits
