"""Which images of a split are worth a look."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Example(NamedTuple):
    """One image and what the network says of it.

    Attributes:
        place: in the split.
        truth: its class, by number.
        predicted: the most probable class, by number.
        probability: of the predicted class.
        truth_probability: of its own class.
        runner_up: the second most probable class, by number.
    """

    place: int
    truth: int
    predicted: int
    probability: float
    truth_probability: float
    runner_up: int


def example_at(
    place: int, probabilities: npt.NDArray[np.float32], labels: npt.NDArray[Any]
) -> Example:
    """The example at a place of the split.

    Args:
        place: in the split.
        probabilities: float32 [n, num_classes].
        labels: int [n].
    """
    row = probabilities[place]
    first, second = np.argsort(-row, kind="stable")[:2]
    truth = int(labels[place])
    return Example(place, truth, int(first), float(row[first]), float(row[truth]), int(second))


def worst_mistakes(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[Any], count: int
) -> list[Example]:
    """Images taken for a wrong class, the surest mistake first; at most `count`."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1, initial=0), kind="stable")[:count]
    return [example_at(int(index), probabilities, labels) for index in wrong[order]]


def least_sure(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[Any], count: int
) -> list[Example]:
    """Images whose most probable class is least probable, the least sure first; at most `count`."""
    order = np.argsort(probabilities.max(axis=1, initial=0), kind="stable")[:count]
    return [example_at(int(index), probabilities, labels) for index in order]


def top_confusions(confusion: npt.NDArray[np.int64], count: int) -> list[tuple[int, int, int]]:
    """The most frequent mistakes: (truth, prediction, images), most images first; at most `count`.

    Args:
        confusion: int64 [num_classes, num_classes]; rows: truth, columns: prediction.
        count: how many.
    """
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    truths, predictions = np.unravel_index(order, mistakes.shape)
    return [
        (int(truth), int(prediction), int(mistakes[truth, prediction]))
        for truth, prediction in zip(truths, predictions, strict=True)
        if mistakes[truth, prediction]
    ]
