"""RandAugment: a few random operations per image, all of the same strength."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field

from cnnlab.base.randomness import StepKeys
from cnnlab.base.tf1 import tf
from cnnlab.data.augment import colour, geometry
from cnnlab.data.augment.erasing import boxes

LINEAR = ("rotate", "shear", "zoom")
GREY = ("identity", *LINEAR, "translate", "brightness", "contrast", "cutout")
COLOUR = (*GREY, "saturation", "hue")


def rand_augment(
    images: Any,
    keys: StepKeys,
    count: Annotated[int, Field(ge=1, le=10)] = 2,
    magnitude: Annotated[float, Field(gt=0, le=10)] = 5.0,
) -> Any:
    """Apply `count` operations to each image, each drawn from the list with equal probability.

    Cubuk et al. 2019 (arXiv 1909.13719), with this package's operations. The brackets give the
    strength at magnitude 10. Strength is proportional to magnitude; its sign is random.

    - identity
    - rotate (30 degrees), shear (0.3), zoom (0.3), translate (a third of the image)
    - brightness (90), contrast (0.9), cutout (half the image's side)
    - on colour images: saturation (0.9), hue (0.25)

    Args:
        images: uint8 or float [batch, height, width, channels].
        keys: the source of the random keys.
        count: operations per image.
        magnitude: strength, in (0, 10].
    """
    names = COLOUR if images.shape[3] == 3 else GREY
    strength = magnitude / 10
    for _ in range(count):
        batch = tf.shape(images)[0]
        key = keys.random_key("augment/rand_augment")
        chosen = tf.random.stateless_uniform([batch], key, 0, len(names), tf.int32)
        place_key = keys.random_key("augment/rand_augment/place")
        draws = tf.random.stateless_uniform([batch, 4], place_key)
        signs = tf.where_v2(draws[:, 0] < 0.5, -strength, strength)
        images = _apply(images, names, chosen, signs, draws, strength)
    return images


def _apply(
    images: Any, names: tuple[str, ...], chosen: Any, signs: Any, draws: Any, strength: float
) -> Any:
    """Apply the operation chosen for each image; signs: float32 [batch], the signed strengths."""

    def is_chosen(name: str) -> Any:
        return tf.equal(chosen, names.index(name))

    def pick(name: str, changed: Any, others: Any) -> Any:
        return tf.where_v2(is_chosen(name)[:, None, None, None], changed, others)

    def matrices_if(name: str, matrices: Any, others: Any) -> Any:
        return tf.where_v2(is_chosen(name)[:, None, None], matrices, others)

    # One resampling for all three linear operations. Other images are not resampled.
    matrices = geometry.rotations(signs * (math.pi / 6))
    matrices = matrices_if("shear", geometry.shears(signs * 0.3), matrices)
    matrices = matrices_if("zoom", geometry.zooms(1 + signs * 0.3), matrices)
    is_linear = tf.reduce_any([is_chosen(name) for name in LINEAR], axis=0)
    moved = geometry.transform(images, matrices)
    results = tf.where_v2(is_linear[:, None, None, None], moved, images)
    shifts = tf.cast(tf.shape(images)[1:3], tf.float32) * (signs / 3)[:, None]
    results = pick("translate", _translate(images, shifts, draws), results)
    results = pick("brightness", colour.adjust_brightness(images, signs * 90), results)
    results = pick("contrast", colour.adjust_contrast(images, 1 + signs * 0.9), results)
    if "hue" in names:
        saturated = colour.adjust_hsv(images, saturations=1 + signs * 0.9)
        results = pick("saturation", saturated, results)
        results = pick("hue", colour.adjust_hsv(images, hues=signs * 0.25), results)
    size = tf.cast(tf.shape(images)[1:3], tf.float32)
    sides = tf.maximum(tf.cast(size * (strength / 2), tf.int32), 1)
    corners = tf.cast(draws[:, 1:3] * size, tf.int32) - sides // 2
    inside = boxes(corners, corners + sides, tf.shape(images)[1], tf.shape(images)[2])
    erased = tf.where_v2(inside, tf.zeros([], images.dtype), images)
    return pick("cutout", erased, results)


def _translate(images: Any, shifts: Any, draws: Any) -> Any:
    """Shift along one random axis, mirroring at the edges; shifts: float32 [batch, 2], (y, x)."""
    on_rows = (draws[:, 3] < 0.5)[:, None]
    chosen = tf.where_v2(tf.concat([on_rows, ~on_rows], axis=1), shifts, tf.zeros_like(shifts))
    offsets = tf.cast(tf.round(chosen), tf.int32)
    size = tf.shape(images)[1:3]

    def mirrored(axis: int) -> Any:
        length = size[axis]
        places = tf.range(length)[None, :] + offsets[:, axis : axis + 1]
        period = tf.maximum(2 * (length - 1), 1)
        folded = tf.math.floormod(places, period)
        return tf.where_v2(folded < length, folded, period - folded)

    rows = tf.gather(images, mirrored(0), batch_dims=1)
    return tf.gather(rows, mirrored(1), axis=2, batch_dims=1)
