"""What augmentations share: types of pixels."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf


def as_given(computed: Any, images: Any) -> Any:
    """Bring float32 results to the type of the images they were made of.

    Args:
        computed: float32 [batch, height, width, channels].
        images: what the augmentation was given; uint8 or float.

    Returns:
        of the type of `images`: uint8 rounded and saturated to [0, 255], floats as they are.
    """
    if images.dtype == tf.uint8:
        return tf.saturate_cast(tf.round(computed), tf.uint8)
    return tf.cast(computed, images.dtype)
