"""Augmentations that move pixels: flips, shifts and affine maps."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from cnnlab.base.errors import CnnlabError
from cnnlab.base.randomness import StepKeys, derive_seed
from cnnlab.base.tf1 import tf
from cnnlab.data.augment.crops import windows
from cnnlab.data.augment.pixels import as_given

Mode = Literal["zero", "reflect", "nearest"]
_FILL_MODES = {"zero": "CONSTANT", "reflect": "REFLECT", "nearest": "NEAREST"}


def flip(images: Any, keys: StepKeys) -> Any:
    """Mirror each image left to right with probability 1/2.

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: the source of the random key.
    """
    draws = keys.uniform([tf.shape(images)[0]], keys.random_key("augment/flip"))
    return tf.where_v2(draws[:, None, None, None] < 0.5, images[:, :, ::-1], images)


def vertical_flip(images: Any, keys: StepKeys) -> Any:
    """Mirror each image top to bottom with probability 1/2; see `flip`."""
    key = keys.random_key("augment/vertical_flip")
    draws = keys.uniform([tf.shape(images)[0]], key)
    return tf.where_v2(draws[:, None, None, None] < 0.5, images[:, ::-1], images)


def alternating_flip(images: Any, keys: StepKeys) -> Any:
    """Mirror each image left to right in every second epoch, about half of them first in epoch 0.

    Keller Jordan 2024 (arXiv 2404.00498, section 3.6). Two epochs in a row never show the same
    view of an image. Whether an image is mirrored in epoch 0 depends on (seed, index of the image).

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: its `origin` has the index and the epoch of each image.

    Raises:
        CnnlabError: `keys` has no origin.
    """
    origin = keys.origin
    if origin is None:
        raise CnnlabError("alternating_flip needs the epoch, which is known only in training")
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
    """Pad on every side, then crop a window of the original size at a random position.

    Args:
        images: [batch, height, width, channels], any dtype.
        keys: the source of the random key.
        pixels: width of the padding; each offset is uniform over 2 * pixels + 1 values.
        mode: what the padding contains: zeros, the image mirrored at its edge pixels, or the
            nearest edge pixel.
    """
    return _shift(images, keys, "augment/pad_and_crop", pixels, mode)


def translate(
    images: Any,
    keys: StepKeys,
    pixels: Annotated[int, Field(ge=1)] = 4,
    mode: Mode = "reflect",
) -> Any:
    """Shift along each axis by a whole number of pixels, uniform in [-pixels, pixels].

    The same operation as `pad_and_crop`, but with another default. Texts that call it a translation
    mirror the image at its edges. The others pad with zeros.
    """
    return _shift(images, keys, "augment/translate", pixels, mode)


def _shift(images: Any, keys: StepKeys, purpose: str, pixels: int, mode: str) -> Any:
    key = keys.random_key(purpose)
    shape = tf.shape(images)
    offsets = keys.uniform([shape[0], 2], key, 0, 2 * pixels + 1, tf.int32)
    if mode == "nearest":
        rows, columns = (
            tf.clip_by_value(offsets[:, i, None] - pixels + tf.range(length), 0, length - 1)
            for i, length in enumerate((shape[1], shape[2]))
        )
        moved = tf.gather(images, rows, batch_dims=1)
        return tf.ensure_shape(tf.gather(moved, columns, axis=2, batch_dims=1), images.shape)
    padded = pad(images, pixels, mode)
    return windows(padded, offsets, shape[1], shape[2])


def pad(images: Any, pixels: int, mode: str) -> Any:
    """Add `pixels` rows and columns on every side: zeros, or the image mirrored."""
    kinds = {"zero": "CONSTANT", "reflect": "REFLECT"}
    return tf.pad(images, [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]], kinds[mode])


def rotate(
    images: Any,
    keys: StepKeys,
    degrees: Annotated[float, Field(gt=0, le=180)] = 15,
    mode: Mode = "reflect",
) -> Any:
    """Rotate about the centre by an angle uniform in [-degrees, degrees], > 0 counter-clockwise.

    Bilinear; for mode see `transform`.
    """
    angles = _draw(images, keys, "rotate", degrees * math.pi / 180)
    return transform(images, rotations(angles), mode)


def shear(
    images: Any,
    keys: StepKeys,
    amount: Annotated[float, Field(gt=0, le=1)] = 0.3,
    mode: Mode = "reflect",
) -> Any:
    """Shift each row by a x its distance from the middle row, a uniform in [-amount, amount].

    Bilinear; for mode see `transform`.
    """
    return transform(images, shears(_draw(images, keys, "shear", amount)), mode)


def zoom(
    images: Any,
    keys: StepKeys,
    amount: Annotated[float, Field(gt=0, lt=1)] = 0.3,
    each_axis: bool = False,
    mode: Mode = "reflect",
) -> Any:
    """Magnify about the centre by a factor uniform in [1 - amount, 1 + amount].

    The factor is the same on both axes, or with each_axis=True one for each, so that the aspect
    ratio changes. Bilinear; for mode see `transform`.
    """
    if each_axis:
        key = keys.random_key("augment/zoom")
        draws = tf.random.stateless_uniform([tf.shape(images)[0], 2], key, -amount, amount)
        return transform(images, tf.linalg.diag(1 / (1 + draws)), mode)
    return transform(images, zooms(1 + _draw(images, keys, "zoom", amount)), mode)


def _draw(images: Any, keys: StepKeys, name: str, limit: float) -> Any:
    key = keys.random_key(f"augment/{name}")
    return tf.random.stateless_uniform([tf.shape(images)[0]], key, -limit, limit)


def rotations(angles: Any) -> Any:
    """Return matrices that rotate by angles (radians, float32 [batch]), for `transform`."""
    cos, sin = tf.cos(angles), tf.sin(angles)
    # y points down, so this rotation looks counter-clockwise.
    return tf.stack([tf.stack([cos, -sin], 1), tf.stack([sin, cos], 1)], 1)


def shears(amounts: Any) -> Any:
    """Return matrices that shift rows by amount x distance from the middle row, for `transform`.

    amounts: float32 [batch].
    """
    one, zero = tf.ones_like(amounts), tf.zeros_like(amounts)
    return tf.stack([tf.stack([one, amounts], 1), tf.stack([zero, one], 1)], 1)


def zooms(factors: Any) -> Any:
    """Return matrices that magnify by factors (> 0, float32 [batch]), for `transform`."""
    return tf.eye(2)[None] / factors[:, None, None]


def transform(images: Any, matrices: Any, mode: str = "reflect") -> Any:
    """Map each image linearly about its centre.

    The output pixel at p (x, y from the centre) gets the input's value at matrix @ p. Interpolation
    is bilinear.

    Args:
        images: uint8 or float [batch, height, width, channels].
        matrices: float32 [batch, 2, 2], acting on (x, y).
        mode: what is beyond the edges. reflect: the image mirrored; nearest: the nearest edge
            pixel; zero: black.
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
        fill_mode=_FILL_MODES[mode],
    )
    return as_given(tf.ensure_shape(moved, images.shape), images)
