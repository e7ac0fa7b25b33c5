"""Augmentation: batched ops in the graph, with separate random numbers for each image.

Every augmentation is a function (images, keys, **arguments) -> images. One that mixes images, and
so their labels, is (images, targets, weights, keys, **arguments) -> (images, targets, weights).

    images: uint8 or float [batch, height, width, channels] of any size, range [0, 255]. The result
        has the same type: uint8 is rounded and saturated, floats are not.
    keys: a `StepKeys` (cnnlab/base/randomness.py), the source of random keys. All randomness comes
        from stateless ops with a key of (seed, step, purpose). An image's random numbers depend on
        its position in the batch.

The table in `recipe` gives each function its name.

A recipe's list is applied in order. As long as pixels are only moved it works on uint8, then on
float32. On a GPU it works on float32 from the start, with the same result.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.randomness import StepKeys
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import is_on_cpu, open_session, tf
from cnnlab.config.augmentations import MIXING, SCALINGS
from cnnlab.data.augment.own_augmentation import OwnAugmentations, apply_own
from cnnlab.data.augment.recipe import (
    AUGMENTATIONS,
    evaluation_views,
    parse_augmentations,
    scaling_of,
    shape_after,
)

__all__ = [
    "AUGMENTATIONS",
    "Mixed",
    "OwnAugmentations",
    "augment",
    "augment_and_mix",
    "evaluation_view",
    "evaluation_views",
    "parse_augmentations",
    "run_evaluation_view",
    "scaling_of",
    "shape_after",
]

_VIEWED = 2000  # images at a time


class Mixed(NamedTuple):
    """A batch whose images may be mixed.

    images: uint8 or float32 [batch, height, width, channels], range [0, 255].
    targets: float32 [batch, num_classes], rows sum to 1; None if no augmentation mixes labels.
    weights: float32 [batch], the weight of each example in the loss; None if all are equal.
    """

    images: Any
    targets: Any = None
    weights: Any = None


def augment(images: Any, entries: list[Any], keys: StepKeys) -> Any:
    """Apply a recipe's augmentations in order, none of which may mix labels.

    Args:
        images: uint8 or float32 [batch, height, width, channels], range [0, 255].
        entries: the recipe's list of NAME or {NAME: {argument: value}}.
        keys: the source of random keys.
    """
    return augment_and_mix(Mixed(images), entries, keys).images


def augment_and_mix(
    batch: Mixed, entries: list[Any], keys: StepKeys, own: OwnAugmentations | None = None
) -> Mixed:
    """Apply a recipe's augmentations in order; those that mix labels need `batch.targets`.

    Args:
        batch: the images, and their targets and weights.
        entries: the recipe's list.
        keys: the source of random keys.
        own: the user's functions in the list, by their positions.
    """
    for position, (name, arguments) in enumerate(parse_augmentations(entries)):
        if name in SCALINGS:  # always the last entry; applied by `scale`
            continue
        if own and position in own:
            with tf.name_scope("own"):
                images = apply_own(own[position], batch.images, keys, arguments)
            batch = batch._replace(images=images)
            continue
        entry = AUGMENTATIONS[name]
        with tf.name_scope(name):
            # On a GPU TensorFlow has no such ops for uint8, and would copy the batch to the CPU.
            if not entry.moves_only or not is_on_cpu(batch.images):
                batch = batch._replace(images=tf.cast(batch.images, tf.float32))
            if name in MIXING:
                batch = Mixed(*entry.function(*batch, keys, **arguments))
            else:
                batch = batch._replace(images=entry.function(batch.images, keys, **arguments))
    return batch


def evaluation_view(images: Any, entries: list[Any]) -> Any:
    """Return what evaluation sees: a central part where training crops, else the images.

    Args:
        images: [batch, height, width, channels], any dtype.
        entries: the recipe's list.
    """
    for view, arguments in evaluation_views(entries):
        images = view(images, **arguments)
    return images


def run_evaluation_view(images: npt.NDArray[Any], entries: list[Any]) -> npt.NDArray[Any]:
    """Return what `evaluation_view` makes of an array, computed in a separate session on the CPU.

    Args:
        images: [n, height, width, channels], uint8 or float32.
        entries: the recipe's list.

    Returns:
        [n, height, width, channels]; float32 if the view resizes.
    """
    if not evaluation_views(entries):
        return images
    graph = tf.Graph()
    with building_in(graph), tf.device("/cpu:0"):
        images_ph = tf.placeholder(images.dtype, [None, *images.shape[1:]])
        view = evaluation_view(images_ph, entries)
    starts = range(0, max(len(images), 1), _VIEWED)
    with open_session(graph) as session:
        parts = [session.run(view, {images_ph: images[i : i + _VIEWED]}) for i in starts]
    return np.concatenate(parts)
