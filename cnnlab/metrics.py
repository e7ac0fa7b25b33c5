"""Figures of merit as sums and counts, divided once at the end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.errors import NonFiniteError

TOP_K = 5


class EvaluationSums:
    """Sums over the images evaluated so far."""

    def __init__(self, num_classes: int) -> None:
        self.confusion = np.zeros((num_classes, num_classes), np.int64)  # rows: truth
        self.top5_correct = 0
        self.loss_sum = 0.0

    def add(
        self,
        logits: npt.NDArray[np.float32],
        labels: npt.NDArray[Any],
        losses: npt.NDArray[np.float32],
    ) -> None:
        """Count a batch.

        Args:
            logits: float32 [batch, num_classes].
            labels: int [batch], range [0, num_classes).
            losses: float32 [batch], each image's.

        Raises:
            NonFiniteError: a logit is not finite, so no class can be told.
        """
        if not np.isfinite(logits).all():
            raise NonFiniteError("the network's logits are not finite; its weights have diverged")
        self.confusion += confusion_matrix(logits, labels)
        self.top5_correct += int((rank_of_label(logits, labels) < TOP_K).sum())
        self.loss_sum += float(losses.astype(np.float64).sum())

    def result(self) -> dict[str, Any]:
        """accuracy, loss, top5_accuracy and n; NaN figures where nothing was counted."""
        n = int(self.confusion.sum())
        return {
            "accuracy": float(np.trace(self.confusion)) / n if n else math.nan,
            "loss": self.loss_sum / n if n else math.nan,
            "top5_accuracy": self.top5_correct / n if n else math.nan,
            "n": n,
        }


def confusion_matrix(
    logits: npt.NDArray[np.float32], labels: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """How many images of each class were taken for which.

    Args:
        logits: float32 [batch, num_classes].
        labels: int [batch], range [0, num_classes).

    Returns:
        int64 [num_classes, num_classes]; rows: truth, columns: prediction.
    """
    confusion = np.zeros((logits.shape[1], logits.shape[1]), np.int64)
    np.add.at(confusion, (labels, logits.argmax(axis=1)), 1)
    return confusion


def rank_of_label(logits: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """How many classes come before the true one, by logit and, among equals, by index.

    Args:
        logits: float32 [batch, num_classes].
        labels: int [batch].

    Returns:
        int [batch], range [0, num_classes); 0 where the first choice is right.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    return ((logits > own) | ((logits == own) & earlier)).sum(axis=1)


def per_class_figures(
    confusion: npt.NDArray[np.int64], class_names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Each class against all others.

    Args:
        confusion: int64 [num_classes, num_classes]; rows: truth, columns: prediction.
        class_names: a name a class.

    Returns:
        for each class: name, precision, recall, f1, tpr, tnr, fpr, fnr, each in [0, 1]; 0 where the
        denominator is 0.
    """
    figures = []
    total = int(confusion.sum())
    for index, name in enumerate(class_names):
        true_positive = int(confusion[index, index])
        false_negative = int(confusion[index].sum()) - true_positive
        false_positive = int(confusion[:, index].sum()) - true_positive
        true_negative = total - true_positive - false_negative - false_positive
        precision = _ratio(true_positive, true_positive + false_positive)
        recall = _ratio(true_positive, true_positive + false_negative)
        figures.append(
            {
                "name": name,
                "precision": precision,
                "recall": recall,
                "f1": _ratio(
                    2 * true_positive, 2 * true_positive + false_positive + false_negative
                ),
                "tpr": recall,
                "tnr": _ratio(true_negative, true_negative + false_positive),
                "fpr": _ratio(false_positive, true_negative + false_positive),
                "fnr": _ratio(false_negative, true_positive + false_negative),
            }
        )
    return figures


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
