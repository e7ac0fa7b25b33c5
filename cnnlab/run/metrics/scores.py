"""Figures that need every image's probabilities: areas under curves, calibration, an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.data.specs import Head

CALIBRATION_BINS = 15  # as in Guo et al. 2017
INTERVAL_LEVEL = 0.95
RESAMPLES = 10_000


class Outputs:
    """The outputs of a network for each image of an evaluation.

    Attributes:
        predicted: int64 [n], the predicted class.
        probabilities: float32 [n, num_classes], each row sums to 1.
        of_each: of several heads, name of a head to its outputs.
    """

    def __init__(self, n: int, num_classes: int, heads: Sequence[Head] = ()) -> None:
        self.of_each = {head.name: Outputs(n, len(head.class_names)) for head in heads}
        self._heads = heads
        self.predicted = np.zeros(n, np.int64)
        self.probabilities = np.zeros((n, num_classes), np.float32)
        self._filled = 0

    def add(self, logits: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32]) -> None:
        """Store the outputs for the next batch, both float32 [batch, num_classes]."""
        part = slice(self._filled, self._filled + len(logits))
        # From the logits, because different logits may round to the same probability.
        self.predicted[part] = logits.argmax(axis=1)
        self.probabilities[part] = probabilities
        self._filled = part.stop
        for head in self._heads:
            own = self.of_each[head.name]
            own.add(logits[:, head.columns], probabilities[:, head.columns])

    @property
    def confidences(self) -> npt.NDArray[np.float32]:
        """float32 [n], the probability of the predicted class."""
        return np.take_along_axis(self.probabilities, self.predicted[:, None], axis=1)[:, 0]


def areas_under_curves(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[Any]
) -> list[dict[str, float | None]]:
    """Return ROC-AUC and PR-AUC of each class against all others.

    Args:
        probabilities: float32 [n, num_classes].
        labels: int [n], range [0, num_classes); or float32 [n, num_classes], 0 or 1.

    Returns:
        for each class: roc_auc and pr_auc. Both are None if no image is of the class. roc_auc is
        also None if every image is.
    """
    areas = []
    for index in range(probabilities.shape[1]):
        is_positive = labels == index if labels.ndim == 1 else labels[:, index] == 1
        hits, misses = counts_above(probabilities[:, index], is_positive)
        areas.append({"roc_auc": roc_auc(hits, misses), "pr_auc": average_precision(hits, misses)})
    return areas


def counts_above(
    scores: npt.NDArray[np.float32], is_positive: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count the positives and negatives with a score >= t, for each score t in descending order.

    Args:
        scores: float32 [n].
        is_positive: bool [n].

    Returns:
        (hits, misses): each int64 [number of different scores].
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    # A threshold cannot separate equal scores, so only the last of them ends a group.
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    hits = np.cumsum(is_positive[order], dtype=np.int64)[ends]
    return hits, ends + 1 - hits


def roc_auc(hits: npt.NDArray[np.int64], misses: npt.NDArray[np.int64]) -> float | None:
    """Return the area under the ROC curve, or None if there are no positives or no negatives.

    It is the probability that a positive scores higher than a negative; a tie counts half. This is
    the Mann-Whitney statistic (Fawcett 2006, section 7). The trapezoids are summed over counts, so
    the sum is exact.

    Args:
        hits, misses: int64, numbers of positives and negatives with a score >= t, t descending.
    """
    if not hits[-1] or not misses[-1]:
        return None
    widths = np.diff(misses, prepend=0)
    heights_twice = hits + np.concatenate([[0], hits[:-1]])
    return int((widths * heights_twice).sum()) / (2 * int(hits[-1]) * int(misses[-1]))


def average_precision(hits: npt.NDArray[np.int64], misses: npt.NDArray[np.int64]) -> float | None:
    """Return the area under the precision-recall curve, or None if there are no positives.

    It is the average precision, without interpolation: the sum over scores of
    (gain in recall) * precision.

    Args:
        hits, misses: int64, numbers of positives and negatives with a score >= t, t descending.
    """
    if not hits[-1]:
        return None
    gains = np.diff(hits, prepend=0)
    return float((gains * (hits / (hits + misses))).sum()) / int(hits[-1])


def expected_calibration_error(
    confidences: npt.NDArray[np.float32], is_correct: npt.NDArray[np.bool_]
) -> float:
    """Return the expected calibration error, the distance between confidence and accuracy.

    It is the sum over bins of (images in bin / n) |accuracy - mean confidence| (Guo et al. 2017,
    "On Calibration of Modern Neural Networks", equation 3). An image's confidence is the
    probability of the predicted class. There are 15 bins of equal width. Bin i contains the
    confidences in ((i - 1) / 15, i / 15].

    Args:
        confidences: float32 [n], n >= 1, range [0, 1].
        is_correct: bool [n], whether the prediction is right.
    """
    exact = confidences.astype(np.float64)
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    # Rounding may leave a probability a little above 1.
    bins = np.clip(np.digitize(exact, edges, right=True) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, is_correct - exact, CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(exact))


def accuracy_interval(num_correct: int, n: int) -> dict[str, Any]:
    """Return the bootstrap confidence interval of an accuracy (percentile method, Efron 1979).

    Drawing n of n images with replacement and counting the correct ones is the same as drawing one
    binomial number. So 10,000 binomial numbers are drawn, with a fixed seed.

    Args:
        num_correct: number of images classified correctly.
        n: number of images, >= 1.

    Returns:
        low, high, level (0.95), resamples and method.
    """
    counts = np.random.default_rng(0).binomial(n, num_correct / n, RESAMPLES)
    tail = (1 - INTERVAL_LEVEL) / 2
    low, high = np.quantile(counts / n, [tail, 1 - tail])
    return {
        "low": float(low),
        "high": float(high),
        "level": INTERVAL_LEVEL,
        "resamples": RESAMPLES,
        "method": "bootstrap, percentiles",
    }
