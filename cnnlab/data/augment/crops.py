"""Augmentations that crop a window: at a random position, at the centre, at a random scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from cnnlab.base.randomness import StepKeys
from cnnlab.base.tf1 import tf
from cnnlab.data.augment.pixels import as_given


def random_crop(images: Any, keys: StepKeys, size: Annotated[int, Field(ge=1)] = 24) -> Any:
    """Crop a window at a random position; evaluation uses the central one (`central_crop`).

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: the source of the random key.
        size: height and width of the window, in pixels; at most those of the image.

    Returns:
        [batch, size, size, channels].
    """
    shape = tf.shape(images)
    key = keys.random_key("augment/random_crop")
    draws = keys.uniform([shape[0], 2], key)  # [0, 1)
    room = tf.cast(shape[1:3] - size + 1, tf.float32)
    offsets = tf.minimum(tf.cast(draws * room, tf.int32), shape[1:3] - size)
    found = windows(images, offsets, size, size)
    return tf.ensure_shape(found, [None, size, size, images.shape[3]])


def central_crop(
    images: Any, keys: StepKeys | None = None, size: Annotated[int, Field(ge=1)] = 24
) -> Any:
    """Crop the central window, in training as in evaluation: as `random_crop`, without the chance.

    If there are two central windows, it is the upper or the left one.

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: unused, since nothing is random.
        size: height and width of the window, in pixels; at most those of the image.

    Returns:
        [batch, size, size, channels].
    """
    del keys
    top, left = ((length - size) // 2 for length in images.shape[1:3].as_list())
    return images[:, top : top + size, left : left + size]


def scale_jitter(
    images: Any,
    keys: StepKeys,
    size: Annotated[int, Field(ge=1)] = 32,
    lower: Annotated[int, Field(ge=1)] = 32,
    upper: Annotated[int, Field(ge=1)] = 40,
) -> Any:
    """Resize so that the short side has a random length, then crop a window at a random position.

    Simonyan and Zisserman 2014 (arXiv 1409.1556, section 3.1). The length is uniform in [lower,
    upper], and the aspect ratio stays. Evaluation uses the central window at the mean length.
    Bilinear, without antialiasing: images much larger than `upper` should be resized before.

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: the source of the random key.
        size: height and width of the window, in pixels; at most `lower`.
        lower, upper: limits of the length of the short side, in pixels.

    Returns:
        [batch, size, size, channels].
    """
    sides = tf.cast(tf.shape(images)[1:3], tf.float32)
    key = keys.random_key("augment/scale_jitter")
    draws = tf.random.stateless_uniform([tf.shape(images)[0], 3], key)  # [0, 1)
    scales = (lower + draws[:, 2:] * (upper - lower)) / tf.reduce_min(sides)  # [b, 1]
    corners = draws[:, :2] * (scales * sides - size)  # row and column, of the resized image
    rows, columns = tf.unstack((corners + 0.5) / scales - 0.5, axis=1)  # of the image itself
    steps, zeros = 1 / scales[:, 0], tf.zeros_like(rows)
    matrices = tf.stack([steps, zeros, columns, zeros, steps, rows, zeros, zeros], axis=1)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=matrices,
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    return as_given(tf.ensure_shape(moved, [None, size, size, images.shape[3]]), images)


def central_scaled_crop(images: Any, size: int, lower: int, upper: int) -> Any:
    """Resize so that the short side has the mean of two lengths; crop the central window.

    Returns:
        float32 [batch, size, size, channels], not rounded.
    """
    resized = tf.raw_ops.ResizeBilinear(
        images=tf.cast(images, tf.float32),
        size=sides_at_mean(images.shape[1:3].as_list(), lower, upper),
        half_pixel_centers=True,
    )
    return central_crop(resized, size=size)


def sides_at_mean(sides: Sequence[int], lower: int, upper: int) -> list[int]:
    """Return height and width of images whose short side gets the mean of two lengths."""
    return [round(side * (lower + upper) / 2 / min(sides)) for side in sides]


def windows(images: Any, offsets: Any, height: Any, width: Any) -> Any:
    """Crop a window from each image; offsets: int32 [batch, 2], (row, column) of its corner."""
    rows = offsets[:, :1] + tf.range(height)  # [b, h]
    columns = offsets[:, 1:] + tf.range(width)  # [b, w]
    return tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)
