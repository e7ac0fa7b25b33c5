"""Augmentation: batched, in the graph, each image with random numbers of its own.

Every augmentation is a function (images, keys, **arguments) -> images, or, where it mixes images
and so their labels, (images, targets, weights, keys, **arguments). images: uint8 or float
[batch, height, width, channels] of any size, range [0, 255]; what comes back has the same type.
On uint8 what is computed is rounded and saturated, on floats it is neither. Randomness comes from
stateless ops keyed by (seed, step, purpose), in order of the position in the batch.

A recipe's list is applied in its order, on uint8 as long as pixels are only moved, then on float32;
on a GPU on float32 from the start, which moves the same values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnlab.base.randomness import StepKeys
from cnnlab.base.tf1 import is_on_cpu, tf
from cnnlab.config.augmentations import MIXING, SCALINGS
from cnnlab.data.augment.recipe import (
    AUGMENTATIONS,
    parse_augmentations,
    scaling_of,
    shape_after,
)

__all__ = [
    "AUGMENTATIONS",
    "Mixed",
    "augment",
    "augment_and_mix",
    "evaluation_view",
    "parse_augmentations",
    "scaling_of",
    "shape_after",
]


class Mixed(NamedTuple):
    """A batch whose images may be mixtures.

    images: uint8 or float32 [batch, height, width, channels], range [0, 255].
    targets: float32 [batch, num_classes], rows sum to 1; None where nothing mixes labels.
    weights: float32 [batch], each example's weight in the loss; None where there are none.
    """

    images: Any
    targets: Any = None
    weights: Any = None


def augment(images: Any, entries: list[Any], keys: StepKeys) -> Any:
    """Apply a recipe's augmentations in order; entries must not mix labels.

    Args:
        images: uint8 or float32 [batch, height, width, channels], range [0, 255].
        entries: NAME or {NAME: {argument: value}}.
        keys: gives the random keys.
    """
    return augment_and_mix(Mixed(images), entries, keys).images


def augment_and_mix(batch: Mixed, entries: list[Any], keys: StepKeys) -> Mixed:
    """As `augment`, for entries that may mix labels; these want `batch.targets`."""
    for name, arguments in parse_augmentations(entries):
        if name in SCALINGS:  # always the last; `scale` does it
            continue
        entry = AUGMENTATIONS[name]
        with tf.name_scope(name):
            # TensorFlow moves uint8 on CPUs alone: on a GPU it would fetch the batch from there.
            if not entry.moves_only or not is_on_cpu(batch.images):
                batch = batch._replace(images=tf.cast(batch.images, tf.float32))
            if name in MIXING:
                batch = Mixed(*entry.function(*batch, keys, **arguments))
            else:
                batch = batch._replace(images=entry.function(batch.images, keys, **arguments))
    return batch


def evaluation_view(images: Any, entries: list[Any]) -> Any:
    """What evaluation sees: the same, but for the central part where training cuts a random one.

    Args:
        images: [batch, height, width, channels], any dtype.
        entries: the recipe's list.
    """
    for name, arguments in parse_augmentations(entries):
        if name in AUGMENTATIONS and (view := AUGMENTATIONS[name].evaluation_view) is not None:
            images = view(images, **arguments)
    return images
