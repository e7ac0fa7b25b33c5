"""Accuracy, loss and confusion matrix, as sums and counts that are divided once at the end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import NonFiniteError


class EvaluationSums:
    """Sums over the images evaluated so far.

    Attributes:
        confusion: int64 [num_classes, num_classes], number of images; rows: truth, columns:
            prediction.
        label_ranks: int64 [num_classes], number of images with k classes ranked above the true
            class, for each k.
        loss_sum: sum of the images' losses.
        own: the user's metrics of all images, by name.
    """

    def __init__(self, num_classes: int) -> None:
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self.label_ranks = np.zeros(num_classes, np.int64)
        self.loss_sum = 0.0
        self.own: dict[str, float] = {}

    def add(
        self,
        logits: npt.NDArray[np.float32],
        labels: npt.NDArray[Any],
        losses: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Add a batch.

        Args:
            logits: float32 [batch, num_classes].
            labels: int [batch], range [0, num_classes).
            losses: float32 [batch], the loss of each image; default: the cross-entropy.

        Raises:
            NonFiniteError: a logit is not finite, so there is no prediction.
        """
        check_finite(logits)
        # [num_classes, batch]: NumPy reduces the short axis faster if it comes first.
        by_class = np.ascontiguousarray(logits.T)
        self.confusion += confusion_matrix(labels, first_choice(by_class), len(by_class))
        self.label_ranks += np.bincount(rank_of_label(by_class, labels), minlength=len(by_class))
        if losses is None:
            losses = cross_entropy(by_class, labels)
        self.loss_sum += float(losses.sum(dtype=np.float64))

    def result(self) -> dict[str, Any]:
        """Return accuracy, loss, top5_accuracy, n and own; the figures are NaN if n is 0."""
        n = int(self.confusion.sum())
        return {
            "accuracy": float(np.trace(self.confusion)) / n if n else math.nan,
            "loss": self.loss_sum / n if n else math.nan,
            "top5_accuracy": self.top_k_accuracy(5),
            "n": n,
            **self.own,
        }

    def top_k_accuracy(self, k: int) -> float:
        """Return the fraction of images whose class is among the k most likely; NaN if n is 0."""
        n = int(self.label_ranks.sum())
        return int(self.label_ranks[:k].sum()) / n if n else math.nan


def check_finite(logits: npt.NDArray[np.float32]) -> None:
    """Raise NonFiniteError if a logit is not finite, so that there is no prediction."""
    if not np.isfinite(logits).all():
        raise NonFiniteError("the network's logits are not finite; its weights have diverged")


def confusion_matrix(
    labels: npt.NDArray[Any], predicted: npt.NDArray[Any], num_classes: int
) -> npt.NDArray[np.int64]:
    """Count the images of each pair of true and predicted class.

    Args:
        labels: int [batch], range [0, num_classes).
        predicted: int [batch], range [0, num_classes).
        num_classes: number of classes of the data set.

    Returns:
        int64 [num_classes, num_classes]; rows: truth, columns: prediction.
    """
    cells = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def first_choice(by_class: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Return the class with the greatest logit, the first of equal ones; a fast `argmax(axis=0)`.

    Args:
        by_class: float32 [num_classes, batch], logits.

    Returns:
        int32 [batch], range [0, num_classes).
    """
    num_classes = len(by_class)
    from_last = np.arange(num_classes, 0, -1, dtype=np.int32)[:, None]
    first: npt.NDArray[np.int32]
    first = num_classes - ((by_class == by_class.max(axis=0)) * from_last).max(axis=0)
    return first


def cross_entropy(
    by_class: npt.NDArray[np.float32], labels: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """Return -log(softmax(logits)[label]) of each image, in nats.

    It is faster than TensorFlow's kernel, which works image by image.

    Args:
        by_class: float32 [num_classes, batch], logits.
        labels: int [batch].

    Returns:
        float32 [batch], range [0, inf].
    """
    greatest = by_class.max(axis=0)
    own = by_class[labels, np.arange(len(labels))]
    with np.errstate(over="ignore"):  # the difference of two logits may overflow float32
        losses: npt.NDArray[np.float32]
        losses = np.log(np.exp(by_class - greatest).sum(axis=0)) + (greatest - own)
    return losses


def rank_of_label(
    by_class: npt.NDArray[np.float32], labels: npt.NDArray[Any]
) -> npt.NDArray[np.int32]:
    """Count the classes ranked above the true one, by logit and, among equal ones, by index.

    Args:
        by_class: float32 [num_classes, batch], logits.
        labels: int [batch].

    Returns:
        int32 [batch], range [0, num_classes); 0 if the prediction is right.
    """
    own = by_class[labels, np.arange(len(labels))]
    earlier = np.arange(len(by_class), dtype=np.int32)[:, None] < labels
    return ((by_class > own) | ((by_class == own) & earlier)).sum(axis=0, dtype=np.int32)
