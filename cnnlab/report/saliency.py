"""Saliency maps, which show where in an image the evidence for a class is: gradient, Grad-CAM."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.tf1 import tf
from cnnlab.graph.inference_graph import InferenceGraph
from cnnlab.graph.model_summary import channels_first_layers, last_feature_maps


class SaliencyGraph(NamedTuple):
    """The tensors that `build_saliency` adds.

    Attributes:
        classes_ph: int64 [batch], range [0, num_classes): the class of interest, for each image.
        gradient: float32 [batch, height, width], >= 0.
        grad_cam: float32 [batch, map height, map width], >= 0; None without a convolution.
        cam_layer: the layer whose feature maps `grad_cam` weighs; None like `grad_cam`.
    """

    classes_ph: Any
    gradient: Any
    grad_cam: Any
    cam_layer: str | None


class SaliencyMaps(NamedTuple):
    """The values of the tensors with the same names in SaliencyGraph."""

    gradient: npt.NDArray[np.float32]
    grad_cam: npt.NDArray[np.float32] | None


def build_saliency(inference: InferenceGraph) -> SaliencyGraph:
    """Add both maps to the inference graph.

    They are of S_c, the logit of the fed class c. The network's scaled input is x. The feature maps
    of the last convolution are A^k.

    gradient: max over the channels of |dS_c / dx| (Simonyan et al. 2013, arXiv 1312.6034, section
    3.1).

    grad_cam: relu(sum_k a_k A^k), where a_k is the mean of dS_c / dA^k over all positions
    (Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2).
    """
    with tf.name_scope("saliency"):
        classes_ph = tf.placeholder(tf.int64, [None], "classes_ph")
        # The logits of an image depend on no other image, so one gradient of the sum serves all.
        logits = inference.logits
        chosen = tf.one_hot(classes_ph, int(logits.shape[1]), dtype=logits.dtype)
        score = tf.reduce_sum(logits * chosen)
        found = last_feature_maps(inference)
        wanted = [inference.inputs] + ([found[1]] if found else [])
        gradients = tf.gradients(score, wanted, unconnected_gradients="zero")
        gradient = tf.reduce_max(tf.abs(gradients[0]), axis=3)
        if found is None:
            return SaliencyGraph(classes_ph, gradient, None, None)
        layer, maps = found
        is_first = layer in channels_first_layers(inference)
        channels, places = (1, [2, 3]) if is_first else (3, [1, 2])
        weights = tf.reduce_mean(gradients[1], axis=places, keepdims=True)
        grad_cam = tf.nn.relu(tf.reduce_sum(weights * maps, axis=channels))
        return SaliencyGraph(classes_ph, gradient, grad_cam, layer)


def run_saliency(
    session: Any,
    inference: InferenceGraph,
    saliency: SaliencyGraph,
    images: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.int64],
) -> SaliencyMaps:
    """Compute the maps of a few images.

    Args:
        session: holds the weights.
        inference: the inference graph.
        saliency: the maps that were added to it.
        images: uint8 [n, height, width, channels].
        classes: int64 [n], range [0, num_classes): the class of interest, for each image.

    Returns:
        the maps of all images; see `SaliencyGraph` for their shapes.
    """
    feed = {inference.images_ph: images, saliency.classes_ph: classes}
    if saliency.grad_cam is None:
        return SaliencyMaps(session.run(saliency.gradient, feed), None)
    return SaliencyMaps(*session.run((saliency.gradient, saliency.grad_cam), feed))
