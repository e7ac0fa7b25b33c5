"""Augmentations that change pixel values: brightness, contrast, colour and noise."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnnlab.base.randomness import StepKeys
from cnnlab.base.tf1 import tf
from cnnlab.data.augment.pixels import as_given

Delta = Annotated[float, Field(gt=0, le=255)]
Factor = Annotated[float, Field(ge=0, le=10)]


def brightness(images: Any, keys: StepKeys, max_delta: Delta = 63.0) -> Any:
    """Add one number per image, uniform in [-max_delta, max_delta], in grey levels of 255."""
    return adjust_brightness(images, _draw(images, keys, "brightness", -max_delta, max_delta))


def contrast(images: Any, keys: StepKeys, lower: Factor = 0.2, upper: Factor = 1.8) -> Any:
    """Stretch each channel about its mean by one factor per image, uniform in [lower, upper]."""
    return adjust_contrast(images, _draw(images, keys, "contrast", lower, upper))


def saturation(images: Any, keys: StepKeys, lower: Factor = 0.5, upper: Factor = 1.5) -> Any:
    """Multiply the saturation by one factor per image, uniform in [lower, upper]; 0 gives grey."""
    return adjust_hsv(images, saturations=_draw(images, keys, "saturation", lower, upper))


def hue(images: Any, keys: StepKeys, max_delta: Annotated[float, Field(gt=0, le=0.5)] = 0.1) -> Any:
    """Rotate the hue by a fraction of the colour circle, uniform in [-max_delta, max_delta]."""
    return adjust_hsv(images, hues=_draw(images, keys, "hue", -max_delta, max_delta))


def channel_shift(images: Any, keys: StepKeys, max_delta: Delta = 20.0) -> Any:
    """Add one number per image and channel, uniform in [-max_delta, max_delta] grey levels."""
    shape = tf.shape(images)
    key = keys.random_key("augment/channel_shift")
    deltas = tf.random.stateless_uniform([shape[0], 1, 1, shape[3]], key, -max_delta, max_delta)
    return as_given(tf.cast(images, tf.float32) + deltas, images)


def gaussian_noise(
    images: Any, keys: StepKeys, stddev: Annotated[float, Field(gt=0, le=255)] = 8.0
) -> Any:
    """Add noise from N(0, stddev**2) to each value, in grey levels of 255."""
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
    """Return mean + factor x (value - mean) with each channel's mean; factors float32 [batch]."""
    floats = tf.cast(images, tf.float32)
    means = tf.reduce_mean(floats, axis=[1, 2], keepdims=True)
    return as_given(means + factors[:, None, None, None] * (floats - means), images)


def adjust_hsv(images: Any, hues: Any = None, saturations: Any = None) -> Any:
    """Rotate the hues and multiply the saturations of RGB images.

    Args:
        images: uint8 or float [batch, height, width, 3]. Floats are clipped to [0, 255] first,
            because hue is not defined outside this range.
        hues: float32 [batch], fractions of the colour circle; default: no change.
        saturations: float32 [batch], factors (>= 0); default: no change.
    """
    unit = tf.clip_by_value(tf.cast(images, tf.float32) * (1 / 255), 0.0, 1.0)
    h, s, v = tf.unstack(tf.image.rgb_to_hsv(unit), axis=3)
    if hues is not None:
        h = tf.math.floormod(h + hues[:, None, None], 1.0)
    if saturations is not None:
        s = tf.clip_by_value(s * saturations[:, None, None], 0.0, 1.0)
    return as_given(tf.image.hsv_to_rgb(tf.stack([h, s, v], axis=3)) * 255, images)
