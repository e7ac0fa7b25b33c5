"""Augmentations of the user's own: functions (images, key, **arguments) -> images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnnlab.base.own_calls import call_own, described, wrong_result
from cnnlab.base.randomness import StepKeys
from cnnlab.base.tf1 import tf

# Position in the recipe's list to function. Two entries may have the same name.
OwnAugmentations = Mapping[int, Callable[..., Any]]


def apply_own(
    function: Callable[..., Any], images: Any, keys: StepKeys, arguments: Mapping[str, Any]
) -> Any:
    """Apply a function of the user's.

    Args:
        function: (images, key, **arguments) -> images of the same type and shape. `key`, int64
            [2], is the seed of a stateless random op.
        images: uint8 or float32 [batch, height, width, channels], range [0, 255].
        keys: the source of random keys.
        arguments: further arguments of the function.

    Returns:
        float32 [batch, height, width, channels].

    Raises:
        CnnlabError: the function fails, or returns images of another type or shape.
    """
    images = tf.cast(images, tf.float32)
    # The purpose is not the function's name, which may have a folder that changes.
    key = keys.random_key("augment/own")
    wanted = f"{described(images)}, as it got them"
    changed = call_own(function, wanted, images, key, **arguments)
    fits = changed.dtype == tf.float32 and changed.shape.is_compatible_with(images.shape)
    if not fits:
        raise wrong_result(function, described(changed), wanted)
    changed.set_shape(images.shape)
    return tf.reshape(changed, tf.shape(images), name="images")  # refuses another batch size
