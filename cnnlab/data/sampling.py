"""How often the epochs of training draw each class: the option `sampling`.

With `shuffle`, an epoch draws every image once, so large classes dominate it. The other choices
draw every class equally often. They differ in the number of draws that make up an epoch. With n
images in K classes, of which the largest has a images and the smallest b:

    balanced       n draws. Large classes lose images in an epoch, small classes repeat theirs.
    oversample     K x a draws. The largest class shows every image once, the others repeat theirs.
    undersample    K x b draws. The smallest class shows every image once, the others lose images.

Within an epoch, the images of a class are drawn equally often, give or take one draw. Which of them
get that draw is random in each epoch. If K does not divide the draws, the classes take turns with
the rest, so K epochs draw every class exactly equally often. Classes without images do not count.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import UsageError
from cnnlab.base.randomness import derive_seed
from cnnlab.base.tf1 import tf
from cnnlab.data.resident import gather_by_name

_MOST_PARTS = 200  # classes that undersampling looks through one by one, with two operations each
MOST_DRAWS = 10**8  # in an epoch, whose order is in memory as 8 bytes a draw


def epoch_size(sampling: str, counts: Sequence[int]) -> int:
    """Return the number of images that an epoch draws.

    Args:
        sampling: the option.
        counts: training images of each class.

    Raises:
        UsageError: an epoch would be too long.
    """
    found = [count for count in counts if count]
    if sampling == "oversample":
        size = len(found) * max(found)
    elif sampling == "undersample":
        size = len(found) * min(found)
    else:
        size = sum(found)
    if sampling == "oversample" and size > MOST_DRAWS:
        raise UsageError(
            f"--sampling=oversample: an epoch would draw {size:,} images, {len(found):,} classes "
            f"of {max(found):,}; use --sampling=balanced"
        )
    return size


def draws_of_epoch(sampling: str, counts: Sequence[int], epoch: int) -> list[int]:
    """Return how many images of each class an epoch draws.

    Args:
        sampling, counts: as for `epoch_size`.
        epoch: its number (>= 0). It matters where the classes do not divide the draws.
    """
    if sampling == "shuffle":
        return list(counts)
    size = epoch_size(sampling, counts)
    present = [number for number, count in enumerate(counts) if count]
    draws = [0] * len(counts)
    for place, number in enumerate(present):
        # The sum over all places k of floor((x + k) / K) is x, so the draws add up to `size`.
        before, after = ((e * size + place) // len(present) for e in (epoch, epoch + 1))
        draws[number] = after - before
    return draws


class Sampler:
    """Draws equally many images of each class.

    The order of an epoch depends only on the seed, the number of the epoch and the labels. The
    input stream knows only how many images each class has. It draws places in the list of the
    images' numbers sorted by class, and `numbers` looks them up.

    Attributes:
        epoch_size: the number of images that an epoch draws.
    """

    def __init__(self, sampling: str, counts: Sequence[int]) -> None:
        """Add the variable that holds the images' numbers, sorted by class, beside the images.

        Of the labels, only the counts enter the graph.

        Args:
            sampling: the option, but not shuffle.
            counts: training images of each class.
        """
        self.epoch_size = epoch_size(sampling, counts)
        self._counts = [count for count in counts if count]
        self._draws_few = sampling == "undersample" and len(self._counts) <= _MOST_PARTS
        self._num_images = sum(self._counts)
        with tf.variable_scope("resident_data", use_resource=True):
            self._placeholder = tf.placeholder(tf.int64, [self._num_images], "by_class_ph")
            self._by_class = tf.get_variable(
                "by_class",
                initializer=self._placeholder,
                trainable=False,
                collections=[tf.GraphKeys.LOCAL_VARIABLES],
            )

    def fill(self, session: Any, labels: npt.NDArray[np.int32]) -> None:
        """Fill the variable.

        Args:
            session: the session that holds it.
            labels: of the training images, int [n].
        """
        by_class = np.argsort(labels, kind="stable")
        session.run(self._by_class.initializer, {self._placeholder: by_class})

    def numbers(self, places: Any) -> Any:
        """Return the images at some places, int64 [n]: their numbers in the training set."""
        return tf.gather(self._by_class, places)

    def numbers_by_name(self, places: Any) -> Any:
        """Return the same inside a tf.data function, which cannot capture variables; CPU only."""
        return gather_by_name(self._by_class, places)

    def order_of(self, epoch: Any, seed: int) -> Any:
        """Return the order of an epoch.

        Args:
            epoch: int64 scalar.
            seed: the run's seed.

        Returns:
            int64 [epoch_size], range [0, n): places, see `numbers`.
        """
        counts, size = tf.constant(self._counts, tf.int64), self.epoch_size
        classes = tf.range(len(self._counts), dtype=tf.int64)
        # As in `draws_of_epoch`.
        before, after = ((e * size + classes) // len(self._counts) for e in (epoch, epoch + 1))
        draws = after - before
        # All places, still sorted by class, but each class in random order.
        shuffled = _shuffle(tf.range(self._num_images, dtype=tf.int64), seed, "images", epoch)
        held = counts
        if self._draws_few:
            held = draws
            places = self._first_of_each(shuffled)
        else:
            class_of_place = tf.repeat(classes, counts)
            order = tf.argsort(tf.gather(class_of_place, shuffled), stable=True)
            places = tf.gather(shuffled, order)
        # Draw d of a class takes its image d, and begins again behind the last one.
        class_of_draw = tf.repeat(classes, draws)
        first_draw = tf.gather(tf.cumsum(draws, exclusive=True), class_of_draw)
        number = (tf.range(size, dtype=tf.int64) - first_draw) % tf.gather(counts, class_of_draw)
        first_place = tf.gather(tf.cumsum(held, exclusive=True), class_of_draw)
        return _shuffle(tf.gather(places, first_place + number), seed, "draws", epoch)

    def _first_of_each(self, shuffled: Any) -> Any:
        """Return the first places of each class in a random order, as many as the smallest has.

        Sorting all places would take most of the time of an epoch of few draws.

        Args:
            shuffled: int64 [n], all places.

        Returns:
            int64 [epoch_size], sorted by class.
        """
        earliest = -tf.math.invert_permutation(shuffled)
        ends = list(itertools.accumulate(self._counts))
        firsts = [
            tf.math.top_k(earliest[end - count : end], min(self._counts)).indices + (end - count)
            for end, count in zip(ends, self._counts, strict=True)
        ]
        return tf.cast(tf.concat(firsts, 0), tf.int64)


def _shuffle(values: Any, seed: int, of: str, epoch: Any) -> Any:
    key = tf.constant(derive_seed(seed, f"sampling/{of}"), tf.int64)
    return tf.random.experimental.stateless_shuffle(values, seed=tf.stack([epoch, key]))
