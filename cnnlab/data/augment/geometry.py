"""Augmentations that move pixels: mirrors, shifts, crops and affine maps."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from cnnlab.base.errors import CnnlabError
from cnnlab.base.randomness import StepKeys, derive_seed
from cnnlab.base.tf1 import tf
from cnnlab.data.augment.pixels import as_given

Mode = Literal["zero", "reflect"]


def flip(images: Any, keys: StepKeys) -> Any:
    """Mirror each image left to right with probability 1/2.

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: gives the random key.
    """
    draws = tf.random.stateless_uniform([tf.shape(images)[0]], keys.random_key("augment/flip"))
    return tf.where_v2(draws[:, None, None, None] < 0.5, images[:, :, ::-1], images)


def vertical_flip(images: Any, keys: StepKeys) -> Any:
    """Mirror each image top to bottom with probability 1/2; see `flip`."""
    key = keys.random_key("augment/vertical_flip")
    draws = tf.random.stateless_uniform([tf.shape(images)[0]], key)
    return tf.where_v2(draws[:, None, None, None] < 0.5, images[:, ::-1], images)


def alternating_flip(images: Any, keys: StepKeys) -> Any:
    """Mirror each image left to right in every other epoch, half of them starting in epoch 0.

    Keller Jordan 2024 (arXiv 2404.00498, section 3.6): two epochs in a row then never see the same
    view. Which image starts mirrored is drawn from (seed, index of the image).

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: its `origin` says which images of which epoch these are.
    """
    origin = keys.origin
    if origin is None:
        raise CnnlabError("alternating_flip goes by the epoch, which only training knows")
    key = [derive_seed(keys.seed, "augment/alternating_flip"), 0]
    starts = tf.random.stateless_uniform([origin.num_train], tf.constant(key, tf.int64)) < 0.5
    is_odd = tf.equal(tf.math.floormod(origin.epochs, 2), 1)
    mirrored = tf.not_equal(tf.gather(starts, origin.indices), is_odd)
    return tf.where_v2(mirrored[:, None, None, None], images[:, :, ::-1], images)


def pad_and_crop(
    images: Any,
    keys: StepKeys,
    pixels: Annotated[int, Field(ge=1)] = 4,
    mode: Mode = "zero",
) -> Any:
    """Pad on every side, then cut a window of the old size at a random place.

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: gives the random key.
        pixels: width of the padding; each offset is uniform over 2 * pixels + 1 values.
        mode: what the padding holds: zeros, or the image mirrored at its edge pixels.
    """
    return _shift(images, keys.random_key("augment/pad_and_crop"), pixels, mode)


def translate(
    images: Any,
    keys: StepKeys,
    pixels: Annotated[int, Field(ge=1)] = 4,
    mode: Mode = "reflect",
) -> Any:
    """Shift by a whole number of pixels along each axis, uniform in [-pixels, pixels].

    The same as `pad_and_crop`, whose texts pad with zeros; those that speak of a translation
    mirror the image at its edges.
    """
    return _shift(images, keys.random_key("augment/translate"), pixels, mode)


def _shift(images: Any, key: Any, pixels: int, mode: str) -> Any:
    shape = tf.shape(images)
    offsets = tf.random.stateless_uniform([shape[0], 2], key, 0, 2 * pixels + 1, tf.int32)
    padded = pad(images, pixels, mode)
    return _windows(padded, offsets, shape[1], shape[2])


def pad(images: Any, pixels: int, mode: str) -> Any:
    """Add `pixels` rows and columns on every side: zeros, or the image mirrored."""
    kinds = {"zero": "CONSTANT", "reflect": "REFLECT"}
    return tf.pad(images, [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]], kinds[mode])


def random_crop(images: Any, keys: StepKeys, size: Annotated[int, Field(ge=1)] = 24) -> Any:
    """Cut a window at a random place; evaluation sees the central one (`central_crop`).

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: gives the random key.
        size: height and width of the window, in pixels, at most the image's.

    Returns:
        [batch, size, size, channels].
    """
    shape = tf.shape(images)
    key = keys.random_key("augment/random_crop")
    draws = tf.random.stateless_uniform([shape[0], 2], key)  # [0, 1)
    room = tf.cast(shape[1:3] - size + 1, tf.float32)
    offsets = tf.minimum(tf.cast(draws * room, tf.int32), shape[1:3] - size)
    windows = _windows(images, offsets, size, size)
    return tf.ensure_shape(windows, [None, size, size, images.shape[3]])


def central_crop(images: Any, size: int) -> Any:
    """Cut the central size x size window; where it cannot be central, the upper or left one."""
    top, left = ((length - size) // 2 for length in images.shape[1:3].as_list())
    return images[:, top : top + size, left : left + size]


def _windows(images: Any, offsets: Any, height: Any, width: Any) -> Any:
    """Cut a window from each image: offsets int32 [batch, 2] (row, column) of its corner."""
    rows = offsets[:, :1] + tf.range(height)  # [b, h]
    columns = offsets[:, 1:] + tf.range(width)  # [b, w]
    return tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def rotate(images: Any, keys: StepKeys, degrees: Annotated[float, Field(gt=0, le=180)] = 15) -> Any:
    """Turn about the centre by an angle uniform in [-degrees, degrees]; counter-clockwise if > 0.

    Bilinear; beyond the edges the image is mirrored.
    """
    angles = _draw(images, keys, "rotate", degrees * math.pi / 180)
    return transform(images, rotations(angles))


def shear(images: Any, keys: StepKeys, amount: Annotated[float, Field(gt=0, le=1)] = 0.3) -> Any:
    """Shift each row by a x its distance from the middle row, a uniform in [-amount, amount].

    Bilinear; beyond the edges the image is mirrored.
    """
    return transform(images, shears(_draw(images, keys, "shear", amount)))


def zoom(images: Any, keys: StepKeys, amount: Annotated[float, Field(gt=0, lt=1)] = 0.3) -> Any:
    """Magnify about the centre by a factor uniform in [1 - amount, 1 + amount], on both axes.

    Bilinear; beyond the edges the image is mirrored.
    """
    return transform(images, zooms(1 + _draw(images, keys, "zoom", amount)))


def _draw(images: Any, keys: StepKeys, name: str, limit: float) -> Any:
    key = keys.random_key(f"augment/{name}")
    return tf.random.stateless_uniform([tf.shape(images)[0]], key, -limit, limit)


def rotations(angles: Any) -> Any:
    """Matrices that turn by angles (radians, float32 [batch]), for `transform`."""
    cos, sin = tf.cos(angles), tf.sin(angles)
    # y points down: this is counter-clockwise to the eye.
    return tf.stack([tf.stack([cos, -sin], 1), tf.stack([sin, cos], 1)], 1)


def shears(amounts: Any) -> Any:
    """Matrices that shift rows by amounts (float32 [batch]) x their height, for `transform`."""
    one, zero = tf.ones_like(amounts), tf.zeros_like(amounts)
    return tf.stack([tf.stack([one, amounts], 1), tf.stack([zero, one], 1)], 1)


def zooms(factors: Any) -> Any:
    """Matrices that magnify by factors (> 0, float32 [batch]), for `transform`."""
    return tf.eye(2)[None] / factors[:, None, None]


def transform(images: Any, matrices: Any) -> Any:
    """Map each image linearly about its centre.

    Output pixel p (x, y from the centre) takes the value at matrix @ p: bilinear, and mirrored
    beyond the edges.

    Args:
        images: uint8 or float [batch, height, width, channels].
        matrices: float32 [batch, 2, 2], acting on (x, y).
    """
    size = tf.shape(images)[1:3]
    centre = tf.cast(size[::-1] - 1, tf.float32) / 2  # x, y
    shifts = centre - tf.linalg.matvec(matrices, tf.broadcast_to(centre, tf.shape(matrices)[:2]))
    rows = tf.concat([matrices, shifts[:, :, None]], axis=2)  # [b, 2, 3]
    flat = tf.pad(tf.reshape(rows, [-1, 6]), [[0, 0], [0, 2]])  # [b, 8]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=flat,
        output_shape=size,
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return as_given(tf.ensure_shape(moved, images.shape), images)
