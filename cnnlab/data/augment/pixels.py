"""Pixel types, shared by all augmentations."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf


def as_given(computed: Any, images: Any) -> Any:
    """Convert float32 results to the type of the original images.

    Args:
        computed: float32 [batch, height, width, channels].
        images: the original images, uint8 or float.

    Returns:
        the results in the type of `images`. uint8 is rounded and saturated to [0, 255].
    """
    if images.dtype == tf.uint8:
        return tf.saturate_cast(tf.round(computed), tf.uint8)
    return tf.cast(computed, images.dtype)
