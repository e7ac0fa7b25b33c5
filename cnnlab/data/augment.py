"""Preparing a batch inside the graph: augmentation, then scaling to the network's input.

Every augmentation draws for each image from a stateless op keyed by (seed, step, purpose), in
order of the position in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab import options
from cnnlab.errors import UsageError
from cnnlab.tf1 import tf
from cnnlab.tower import Tower


def flip(images: Any, tower: Tower) -> Any:
    """Mirror each image left to right with probability 1/2.

    Args:
        images: [batch, height, width, channels], any dtype.
        tower: gives the random key.
    """
    draws = tf.random.stateless_uniform([tf.shape(images)[0]], tower.random_key("augment/flip"))
    return tf.where_v2(draws[:, None, None, None] < 0.5, images[:, :, ::-1], images)


def pad_and_crop(images: Any, tower: Tower, pixels: int = 4) -> Any:
    """Pad by zeros on every side, then cut a window of the old size at a random place.

    Args:
        images: [batch, height, width, channels], any dtype.
        tower: gives the random key.
        pixels: width of the padding (>= 1); each offset is uniform over 2 * pixels + 1 values.
    """
    shape = tf.shape(images)
    key = tower.random_key("augment/pad_and_crop")
    offsets = tf.random.stateless_uniform([shape[0], 2], key, 0, 2 * pixels + 1, tf.int32)
    padded = tf.pad(images, [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]])
    rows = offsets[:, :1] + tf.range(shape[1])  # [b, h]
    columns = offsets[:, 1:] + tf.range(shape[2])  # [b, w]
    return tf.gather(tf.gather(padded, rows, batch_dims=1), columns, axis=2, batch_dims=1)


AUGMENTATIONS: dict[str, Callable[..., Any]] = {"flip": flip, "pad_and_crop": pad_and_crop}


def parse_augmentations(entries: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    """Names and arguments of a recipe's list, whose entries are NAME or {NAME: {argument: value}}.

    Raises:
        UsageError: an entry is neither, or its name or an argument is unknown.
    """
    parsed: list[tuple[str, dict[str, Any]]] = []
    arguments: dict[str, Any] | None
    for entry in entries:
        if isinstance(entry, str):
            name, arguments = entry, None
        elif isinstance(entry, dict) and len(entry) == 1:
            name, arguments = next(iter(entry.items()))
        else:
            raise UsageError(
                f"--augment: {entry} is neither NAME nor {{NAME: {{argument: value}}}}"
            )
        if name not in AUGMENTATIONS:
            hint = options.nearest(name, AUGMENTATIONS) or f"; known: {', '.join(AUGMENTATIONS)}"
            raise UsageError(f"--augment: unknown augmentation {name}{hint}")
        known = AUGMENTATIONS[name].__code__.co_varnames[
            2 : AUGMENTATIONS[name].__code__.co_argcount
        ]
        for argument in arguments or {}:
            if argument not in known:
                takes = ", ".join(known) or "no arguments"
                raise UsageError(f"--augment: {name} has no argument {argument}; it takes {takes}")
        parsed.append((name, dict(arguments or {})))
    return parsed


def augment(images: Any, entries: list[Any], tower: Tower) -> Any:
    """Apply a recipe's augmentations in order; [batch, height, width, channels] to the same."""
    for name, arguments in parse_augmentations(entries):
        with tf.name_scope(name):
            images = AUGMENTATIONS[name](images, tower, **arguments)
    return images


def scale(images: Any, scaling: str) -> Any:
    """Bring pixels to the network's input range.

    Args:
        images: uint8 [batch, height, width, channels], range [0, 255].
        scaling: 'unit': x / 255, range [0, 1]; 'symmetric': x / 127.5 - 1, range [-1, 1];
            'standardize': per image to mean 0 and standard deviation 1.

    Returns:
        float32 [batch, height, width, channels].
    """
    floats = tf.cast(images, tf.float32)
    if scaling == "unit":
        return floats * (1 / 255)
    if scaling == "symmetric":
        return floats * (2 / 255) - 1
    return tf.image.per_image_standardization(floats)
