"""The inference graph: from raw images to logits, with the weights that evaluation uses."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnlab.base.own_functions import is_reference
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.data.augment import evaluation_view, scaling_of
from cnnlab.data.grey_levels import grey_levels, image_type
from cnnlab.data.resident import label_shape, label_type
from cnnlab.data.scaling import InputStatistics, build_statistics, scale
from cnnlab.data.specs import DatasetSpec, Targets
from cnnlab.graph.heads import WeightedHead, heads_of
from cnnlab.graph.model_effects import Summaries, check_random_numbers
from cnnlab.graph.own_results import OwnMetric, own_metric
from cnnlab.graph.parts import Parts
from cnnlab.graph.reach import describe_unreached
from cnnlab.graph.update.losses import given_to_own, losses_of, probabilities_of
from cnnlab.layers.data_start import DataStart
from cnnlab.layers.tower import Head, LayerDefaults, Tower, building, inference_kernels


class InferenceGraph(NamedTuple):
    """The network as evaluation and prediction compute it.

    Attributes:
        images_ph: uint8 [batch, height, width, channels], range [0, 255]; float32 if the images of
            the data set have another range. No images by default.
        labels_ph: int64 [batch], range [0, num_classes); float32 [batch, k] if they are no classes.
        logits: float32 [batch, num_classes], unscaled. Of one unit z, they are -z / 2 and z / 2.
        probabilities: float32 [batch, num_classes]. Of classes, each row sums to 1. Of several
            labels an image, each number is in [0, 1]. Of real values, they are the predicted ones.
            Of several heads, those of each head sum to 1.
        losses: float32 [batch], loss of each image as configured, neither smoothed nor weighted;
            None if it is a function of the user's that is not needed.
        loss: float32 scalar, their mean.
        features: float32 [batch, ...], the input of the last layer with weights.
        head: the head of the network; None if the model does not say where it begins.
        activations: name to output of each layer.
        training_only: settings that only training uses; see `cnnlab.layers.tower.Tower`.
        statistics: statistics of the training set that the scaling needs; None: it needs none.
        data_starts: the model's variables that start from training images.
        inputs: float32 [batch, height, width, channels], input of the network: cropped, scaled.
        targets: what the labels are; see `cnnlab.data.array_labels`.
        heads: those of the data; see `cnnlab.graph.heads`.
        metrics: name to the user's metric of the fed images.
        unreached: what the options for all layers do not reach, one line for people, or "".
    """

    images_ph: Any
    labels_ph: Any
    logits: Any
    probabilities: Any
    losses: Any
    loss: Any
    features: Any
    head: Head | None
    activations: dict[str, Any]
    training_only: dict[str, dict[str, Any]]
    statistics: InputStatistics | None
    data_starts: list[DataStart]
    inputs: Any
    targets: Targets
    heads: tuple[WeightedHead, ...]
    metrics: dict[str, OwnMetric]
    unreached: str


def build_inference_graph(
    config: Config,
    spec: DatasetSpec,
    parts: Parts,
    *,
    images: Any = None,
    as_written: bool = False,
) -> InferenceGraph:
    """Add the inference graph to the default graph.

    Args:
        config: gives scaling, seed and model options.
        spec: gives image shape and classes.
        parts: the model, and the user's other functions.
        images: like `images_ph`, instead of this placeholder.
        as_written: compute the layers in the order in which the model has them, with TensorFlow's
            own kernels. Exports need this, and so do gradients with respect to a layer's output.

    Raises:
        CnnlabError: the model returns something that is not [batch, num_classes] logits.
    """
    parts = parts._replace(heads=heads_of(config, spec))
    with tf.name_scope("input"):
        images_ph = _build_images_ph(spec) if images is None else images
        labels_ph = _build_labels_ph(spec)
        scaling = scaling_of(config.augment, config.scaling)
        statistics = build_statistics(scaling, spec.image_shape, config.augment, spec.image_range)
        levels = grey_levels(images_ph, spec.image_range)
        inputs = scale(evaluation_view(levels, config.augment), scaling, statistics)
    weights = config.resolved_eval_weights
    tower = Tower(
        config.seed,
        defaults=LayerDefaults.of(config),
        average=None if weights == "live" else weights,
        kernels=inference_kernels(is_fast=config.fast_kernels and not as_written),
    )
    summaries = Summaries()
    with building(tower):
        logits = parts.build_logits(inputs, spec.num_classes, training=False)
    summaries.taken(tf.get_default_graph())  # those of training are written
    check_random_numbers([logits], is_allowed=config.allow_stateful_random)
    with tf.name_scope("loss"):
        losses = loss = None
        if parts.loss is not None or not is_reference(config.loss):
            losses = losses_of(config, logits, labels_ph, own=parts.loss, heads=parts.heads)
            loss = tf.reduce_mean(losses)
    metrics = {}
    for name, function in parts.metrics.items():
        with tf.name_scope("own_metrics/"):
            given = given_to_own(config, labels_ph, logits, parts.heads)
            metrics[name] = own_metric(function, *given)
    return InferenceGraph(
        images_ph=images_ph,
        labels_ph=labels_ph,
        logits=logits,
        probabilities=probabilities_of(
            logits,
            config.resolved_output,
            spec.targets,
            has_one_unit=config.has_one_unit,
            heads=parts.heads,
        ),
        losses=losses,
        loss=loss,
        features=logits if tower.features is None else tower.features,
        head=tower.head,
        activations=tower.activations,
        training_only=tower.training_only,
        statistics=statistics,
        data_starts=tower.data_starts,
        inputs=inputs,
        targets=spec.targets,
        heads=parts.heads,
        metrics=metrics,
        unreached=describe_unreached(config, tower, logits),
    )


def _build_images_ph(spec: DatasetSpec) -> Any:
    no_images = tf.zeros([0, *spec.image_shape], image_type(spec.image_range))
    return tf.placeholder_with_default(no_images, [None, *spec.image_shape], "images_ph")


def _build_labels_ph(spec: DatasetSpec) -> Any:
    shape = label_shape(spec)
    no_labels = tf.zeros([0, *shape], label_type(spec))
    return tf.placeholder_with_default(no_labels, [None, *shape], "labels_ph")
