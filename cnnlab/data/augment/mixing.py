"""Augmentations that mix two images of a batch, and so their labels.

Each image is mixed with the next one of the batch, and the last with the first. This is a random
pair, because the batch is shuffled. Targets and weights are mixed in the same proportion.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnnlab.base.randomness import StepKeys
from cnnlab.base.tf1 import tf
from cnnlab.data.augment.erasing import boxes
from cnnlab.data.augment.pixels import as_given

Alpha = Annotated[float, Field(gt=0, le=100)]


def mixup(
    images: Any, targets: Any, weights: Any, keys: StepKeys, alpha: Alpha = 0.2
) -> tuple[Any, Any, Any]:
    """Return share x image + (1 - share) x next image, one share ~ Beta(alpha, alpha) per image.

    Zhang et al. 2017 (arXiv 1710.09412).

    Args:
        images: uint8 or float [batch, height, width, channels].
        targets: float32 [batch, num_classes].
        weights: float32 [batch], or None.
        keys: the source of the random key.
        alpha: parameter of the Beta distribution; with small values one image dominates.

    Returns:
        the mixed images, targets and weights.
    """
    shares = _beta(images, keys, "mixup", alpha)
    floats = tf.cast(images, tf.float32)
    mixed = _mix(floats, shares[:, None, None, None])
    return as_given(mixed, images), _mix(targets, shares[:, None]), _mix(weights, shares)


def cutmix(
    images: Any, targets: Any, weights: Any, keys: StepKeys, alpha: Alpha = 1.0
) -> tuple[Any, Any, Any]:
    """Paste a rectangle of the next image at the same place; mix labels in proportion to area.

    Yun et al. 2019 (arXiv 1905.04899). The rectangle has the image's aspect ratio and the area
    1 - Beta(alpha, alpha), as a fraction of the image. Its centre is uniform. Parts outside the
    image are cut off and do not count.

    Args and Returns: see `mixup`; images may have any dtype.
    """
    shape = tf.shape(images)
    size = tf.cast(shape[1:3], tf.float32)
    sides = size * tf.sqrt(1 - _beta(images, keys, "cutmix", alpha))[:, None]
    key = keys.random_key("augment/cutmix/centre")
    centres = tf.random.stateless_uniform([shape[0], 2], key) * size
    starts = tf.cast(tf.round(centres - sides / 2), tf.int32)
    ends = tf.cast(tf.round(centres + sides / 2), tf.int32)
    inside = boxes(starts, ends, shape[1], shape[2])
    mixed = tf.where_v2(inside, tf.roll(images, -1, axis=0), images)
    shares = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), axis=[1, 2, 3])
    return mixed, _mix(targets, shares[:, None]), _mix(weights, shares)


def _beta(images: Any, keys: StepKeys, name: str, alpha: float) -> Any:
    """Return float32 [batch] from Beta(alpha, alpha): a / (a + b) of two Gamma(alpha) draws."""
    key = keys.random_key(f"augment/{name}")
    # float64, because for a small alpha both draws may be 0 in float32.
    draws = tf.random.stateless_gamma(
        [tf.shape(images)[0], 2], key, tf.constant(alpha, tf.float64), dtype=tf.float64
    )
    draws = tf.maximum(draws, 1e-300)
    return tf.cast(draws[:, 0] / (draws[:, 0] + draws[:, 1]), tf.float32)


def _mix(values: Any, shares: Any) -> Any:
    if values is None:
        return None
    return shares * values + (1 - shares) * tf.roll(values, -1, axis=0)
