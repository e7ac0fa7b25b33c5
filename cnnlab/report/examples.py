"""Single images of a split and what the network says about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Example(NamedTuple):
    """An image and what the network says about it.

    Attributes:
        place: its index in the split.
        truth: its class.
        predicted: the most probable class.
        probability: of the predicted class.
        truth_probability: of the true class.
        runner_up: the second most probable class.
    """

    place: int
    truth: int
    predicted: int
    probability: float
    truth_probability: float
    runner_up: int


def examples_at(
    places: Iterable[int],
    probabilities: npt.NDArray[np.float32],
    predicted: npt.NDArray[Any],
    labels: npt.NDArray[Any],
) -> list[Example]:
    """Return the examples at some indices of the split.

    Args:
        places: the indices, range [0, n).
        probabilities: float32 [n, num_classes].
        predicted: int [n], the classes with the greatest logits.
        labels: int [n], range [0, num_classes).
    """
    examples = []
    for place in map(int, places):
        row = probabilities[place]
        first, truth = int(predicted[place]), int(labels[place])
        second = next(c for c in np.argsort(-row, kind="stable") if c != first)
        examples.append(
            Example(place, truth, first, float(row[first]), float(row[truth]), int(second))
        )
    return examples


def caption_of(example: Example, names: Sequence[str]) -> tuple[str, ...]:
    """Return the image's number, truth and prediction; and the runner-up if it is not the truth."""
    truth = f"is {names[example.truth]} ({example.truth_probability:.3f})"
    if example.predicted == example.truth:
        lines = [f"{truth}, correct"]
    else:
        lines = [truth, f"taken for {names[example.predicted]} ({example.probability:.3f})"]
    if example.runner_up != example.truth:
        lines.append(f"next: {names[example.runner_up]}")
    return (f"image {example.place}", *lines)


def least_sure(probabilities: npt.NDArray[np.float32], limit: int) -> npt.NDArray[np.int64]:
    """Find the images whose predicted class has the lowest probability.

    Args:
        probabilities: float32 [n, num_classes].
        limit: the largest number of images to return.

    Returns:
        int64 [at most limit], range [0, n): the indices of the images, the lowest probability
        first. Images of equal probability keep their order.
    """
    return np.argsort(probabilities.max(axis=1, initial=0), kind="stable")[:limit]
