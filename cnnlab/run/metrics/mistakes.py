"""Which mistakes are the worst, and which are the most frequent."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MOST_CONFUSED = 10  # pairs of classes


def worst_mistakes(
    probabilities: npt.NDArray[np.float32],
    predicted: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    limit: int,
) -> npt.NDArray[np.int64]:
    """Find the wrongly classified images with the lowest probability for the truth.

    These are the mistakes with the highest cross-entropy, -log(probability of the truth).

    Args:
        probabilities: float32 [n, num_classes].
        predicted: int [n], the classes with the greatest logits. Probabilities may be rounded to
            equal ones.
        labels: int [n], range [0, num_classes).
        limit: the largest number of images to return.

    Returns:
        int64 [at most limit], range [0, n): the indices of the images, the lowest probability
        first. Images of equal probability keep their order.
    """
    wrong = np.flatnonzero(predicted != labels)
    of_truth = probabilities[wrong, labels[wrong]]
    return wrong[np.argsort(of_truth, kind="stable")][:limit]


def most_confused(
    confusion: npt.NDArray[np.int64], class_names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Find the MOST_CONFUSED most frequent mistakes.

    Args:
        confusion: int64 [num_classes, num_classes]; rows: truth, columns: prediction.
        class_names: one for each class.

    Returns:
        for each pair of classes: truth, predicted, count (images, >= 1), and share, the count
        divided by the images of the true class. The highest count comes first; equal counts stay in
        the order of the classes.
    """
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:MOST_CONFUSED]
    pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return [
        {
            "truth": class_names[truth],
            "predicted": class_names[predicted],
            "count": int(mistakes[truth, predicted]),
            "share": int(mistakes[truth, predicted]) / int(confusion[truth].sum()),
        }
        for truth, predicted in pairs
        if mistakes[truth, predicted]
    ]
