"""Augmentations of pixel values: brightness, contrast, colour, noise."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnnlab.base.randomness import StepKeys
from cnnlab.base.tf1 import tf
from cnnlab.data.augment.pixels import as_given

Delta = Annotated[float, Field(gt=0, le=255)]
Factor = Annotated[float, Field(ge=0, le=10)]


def brightness(images: Any, keys: StepKeys, max_delta: Delta = 63.0) -> Any:
    """Add to each image a number uniform in [-max_delta, max_delta] grey levels of 255."""
    return adjust_brightness(images, _draw(images, keys, "brightness", -max_delta, max_delta))


def contrast(images: Any, keys: StepKeys, lower: Factor = 0.2, upper: Factor = 1.8) -> Any:
    """Stretch each channel about its mean by a factor uniform in [lower, upper], one an image."""
    return adjust_contrast(images, _draw(images, keys, "contrast", lower, upper))


def saturation(images: Any, keys: StepKeys, lower: Factor = 0.5, upper: Factor = 1.5) -> Any:
    """Multiply the saturation by a factor uniform in [lower, upper]; 0 makes an image grey."""
    return adjust_hsv(images, saturations=_draw(images, keys, "saturation", lower, upper))


def hue(images: Any, keys: StepKeys, max_delta: Annotated[float, Field(gt=0, le=0.5)] = 0.1) -> Any:
    """Turn the hue by a share of the colour circle uniform in [-max_delta, max_delta]."""
    return adjust_hsv(images, hues=_draw(images, keys, "hue", -max_delta, max_delta))


def channel_shift(images: Any, keys: StepKeys, max_delta: Delta = 20.0) -> Any:
    """Add to each channel of each image a number of its own, uniform in [-max_delta, max_delta]."""
    shape = tf.shape(images)
    key = keys.random_key("augment/channel_shift")
    deltas = tf.random.stateless_uniform([shape[0], 1, 1, shape[3]], key, -max_delta, max_delta)
    return as_given(tf.cast(images, tf.float32) + deltas, images)


def gaussian_noise(
    images: Any, keys: StepKeys, stddev: Annotated[float, Field(gt=0, le=255)] = 8.0
) -> Any:
    """Add to each value a draw from N(0, stddev**2), in grey levels of 255."""
    key = keys.random_key("augment/gaussian_noise")
    noise = tf.random.stateless_normal(tf.shape(images), key, 0.0, stddev)
    return as_given(tf.cast(images, tf.float32) + noise, images)


def _draw(images: Any, keys: StepKeys, name: str, lower: float, upper: float) -> Any:
    key = keys.random_key(f"augment/{name}")
    return tf.random.stateless_uniform([tf.shape(images)[0]], key, lower, upper)


def adjust_brightness(images: Any, deltas: Any) -> Any:
    """Add deltas (float32 [batch], in grey levels) to all values of each image."""
    return as_given(tf.cast(images, tf.float32) + deltas[:, None, None, None], images)


def adjust_contrast(images: Any, factors: Any) -> Any:
    """mean + factor x (value - mean), the mean of each channel; factors float32 [batch]."""
    floats = tf.cast(images, tf.float32)
    means = tf.reduce_mean(floats, axis=[1, 2], keepdims=True)
    return as_given(means + factors[:, None, None, None] * (floats - means), images)


def adjust_hsv(images: Any, hues: Any = None, saturations: Any = None) -> Any:
    """Turn hues and multiply saturations of RGB images.

    Args:
        images: uint8 or float [batch, height, width, 3]; floats are clipped to [0, 255] first,
            beyond which there is no hue.
        hues: float32 [batch], shares of the colour circle; none unless given.
        saturations: float32 [batch], factors (>= 0); none unless given.
    """
    unit = tf.clip_by_value(tf.cast(images, tf.float32) * (1 / 255), 0.0, 1.0)
    h, s, v = tf.unstack(tf.image.rgb_to_hsv(unit), axis=3)
    if hues is not None:
        h = tf.math.floormod(h + hues[:, None, None], 1.0)
    if saturations is not None:
        s = tf.clip_by_value(s * saturations[:, None, None], 0.0, 1.0)
    return as_given(tf.image.hsv_to_rgb(tf.stack([h, s, v], axis=3)) * 255, images)
