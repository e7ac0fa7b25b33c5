"""Augmentations that erase a part of each image."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnnlab.base.randomness import StepKeys
from cnnlab.base.tf1 import tf
from cnnlab.data.augment.pixels import as_given

Share = Annotated[float, Field(ge=0, le=1)]


def cutout(images: Any, keys: StepKeys, size: Annotated[int, Field(ge=1)] = 8) -> Any:
    """Set a square to 0. Its centre is uniform over the pixels, so it may overlap the edge.

    DeVries and Taylor 2017 (arXiv 1708.04552).

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: the source of the random key.
        size: side of the square, in pixels.
    """
    shape = tf.shape(images)
    key = keys.random_key("augment/cutout")
    draws = keys.uniform([shape[0], 2], key)
    centres = tf.cast(draws * tf.cast(shape[1:3], tf.float32), tf.int32)
    corners = centres - size // 2
    inside = boxes(corners, corners + size, shape[1], shape[2])
    return tf.where_v2(inside, tf.zeros([], images.dtype), images)


def random_erasing(
    images: Any,
    keys: StepKeys,
    probability: Share = 0.5,
    lower: Share = 0.02,
    upper: Share = 0.4,
    aspect: Annotated[float, Field(gt=0, le=1)] = 0.3,
) -> Any:
    """Fill a rectangle with noise uniform in [0, 255].

    Zhong et al. 2017 (arXiv 1708.04896), with two differences. The paper draws again until the
    rectangle fits; here its sides are limited to the image's. The ratio of its sides is uniform on
    a logarithmic scale.

    Args:
        images: uint8 or float [batch, height, width, channels].
        keys: the source of the random keys.
        probability: the fraction of images that are changed.
        lower, upper: limits of the rectangle's area, as fractions of the image's area; the area is
            uniform between them.
        aspect: the ratio height / width is between aspect and 1 / aspect.
    """
    shape = tf.shape(images)
    size = tf.cast(shape[1:3], tf.float32)
    key = keys.random_key("augment/random_erasing")
    draws = tf.random.stateless_uniform([shape[0], 5], key)
    area = (lower + (upper - lower) * draws[:, 0]) * size[0] * size[1]
    ratio = tf.exp(tf.math.log(aspect) * (2 * draws[:, 1] - 1))
    sides = tf.round(tf.sqrt(tf.stack([area * ratio, area / ratio], axis=1)))
    sides = tf.clip_by_value(sides, 1.0, size)
    corners = tf.cast(draws[:, 2:4] * (size - sides + 1), tf.int32)
    inside = boxes(corners, corners + tf.cast(sides, tf.int32), shape[1], shape[2])
    inside = tf.logical_and(inside, (draws[:, 4] < probability)[:, None, None, None])
    noise_key = keys.random_key("augment/random_erasing/noise")
    noise = tf.random.stateless_uniform(shape, noise_key, 0.0, 255.0)
    return as_given(tf.where_v2(inside, noise, tf.cast(images, tf.float32)), images)


def boxes(starts: Any, ends: Any, height: Any, width: Any) -> Any:
    """Return the mask of the pixels inside each image's box.

    Args:
        starts, ends: int32 [batch, 2] (row, column): the first pixel inside the box and the first
            one after it. Both may be outside the image.
        height, width: of the images.

    Returns:
        bool [batch, height, width, 1], True inside.
    """
    rows, columns = tf.range(height)[None, :], tf.range(width)[None, :]
    in_rows = tf.logical_and(rows >= starts[:, :1], rows < ends[:, :1])  # [b, h]
    in_columns = tf.logical_and(columns >= starts[:, 1:], columns < ends[:, 1:])  # [b, w]
    return tf.logical_and(in_rows[:, :, None, None], in_columns[:, None, :, None])
