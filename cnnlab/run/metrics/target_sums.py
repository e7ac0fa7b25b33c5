"""Sums over the images of an evaluation, for each kind of labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.data.specs import Targets
from cnnlab.graph.heads import Heads
from cnnlab.run.metrics.head_sums import HeadSums
from cnnlab.run.metrics.sums import EvaluationSums, check_finite


class LabelSums:
    """Sums of several labels an image. A label is predicted if its probability is >= 1/2.

    `with_thresholds` has other thresholds.

    Attributes:
        counts: int64 [labels, 4], numbers of images: true positives, false positives, false
            negatives, true negatives.
        num_exact: number of images whose labels are all right.
        loss_sum: sum of the images' losses.
        n: number of images.
        own: the user's metrics of all images, by name.
    """

    def __init__(self, num_labels: int) -> None:
        self.counts = np.zeros((num_labels, 4), np.int64)
        self.num_exact = 0
        self.loss_sum = 0.0
        self.own: dict[str, float] = {}
        self.n = 0

    def add(
        self,
        logits: npt.NDArray[np.float32],
        labels: npt.NDArray[np.float32],
        losses: npt.NDArray[np.float32] | None,
    ) -> None:
        """Add a batch.

        Args:
            logits: float32 [batch, labels]; >= 0 means a probability >= 1/2.
            labels: float32 [batch, labels], 0 or 1.
            losses: float32 [batch].

        Raises:
            NonFiniteError: a logit is not finite.
        """
        check_finite(logits)
        assert losses is not None
        self._count(labels, logits >= 0)
        self.loss_sum += float(losses.sum(dtype=np.float64))
        self.n += len(labels)

    def with_thresholds(
        self,
        probabilities: npt.NDArray[np.float32],
        labels: npt.NDArray[np.float32],
        thresholds: npt.NDArray[np.float64],
    ) -> LabelSums:
        """Return the sums of the same images with other thresholds.

        Args:
            probabilities, labels: of all images, float32 [n, labels].
            thresholds: float64 [labels]; a label is predicted if its probability is not below.
        """
        other = LabelSums(len(self.counts))
        other._count(labels, probabilities >= thresholds)
        other.loss_sum, other.own, other.n = self.loss_sum, self.own, self.n
        return other

    def _count(self, labels: npt.NDArray[np.float32], predicted: npt.NDArray[np.bool_]) -> None:
        truth = labels >= 0.5
        pairs = ((truth, predicted), (~truth, predicted), (truth, ~predicted), (~truth, ~predicted))
        self.counts += np.stack([(a & b).sum(axis=0) for a, b in pairs], axis=1)
        self.num_exact += int((truth == predicted).all(axis=1).sum())

    def result(self) -> dict[str, Any]:
        """Return accuracy, exact_match, loss, n and own; the figures are NaN if n is 0.

        accuracy is the fraction of right labels, over all images and labels, as Keras's binary
        accuracy. exact_match is the fraction of images whose labels are all right, as
        scikit-learn's accuracy.
        """
        right = int(self.counts[:, 0].sum() + self.counts[:, 3].sum())
        return {
            "accuracy": right / (self.n * len(self.counts)) if self.n else math.nan,
            "exact_match": self.num_exact / self.n if self.n else math.nan,
            "loss": self.loss_sum / self.n if self.n else math.nan,
            "n": self.n,
            **self.own,
        }


class ValueSums:
    """Sums of predicted real values.

    Attributes:
        squares: float64 [values], sum of squared errors.
        absolutes: float64 [values], sum of absolute errors.
        loss_sum: sum of the images' losses.
        n: number of images.
        own: the user's metrics of all images, by name.
    """

    def __init__(self, num_values: int) -> None:
        self.squares, self.absolutes = np.zeros(num_values), np.zeros(num_values)
        self.loss_sum = 0.0
        self.own: dict[str, float] = {}
        self.n = 0
        self._mean = np.zeros(num_values)
        self._spread = np.zeros(num_values)  # sum of (label - mean)^2

    def add(
        self,
        predicted: npt.NDArray[np.float32],
        labels: npt.NDArray[np.float32],
        losses: npt.NDArray[np.float32] | None,
    ) -> None:
        """Add a batch.

        Args:
            predicted, labels: float32 [batch, values].
            losses: float32 [batch].

        Raises:
            NonFiniteError: a prediction is not finite.
        """
        check_finite(predicted)
        assert losses is not None
        errors = predicted.astype(np.float64) - labels
        self.squares += np.square(errors).sum(axis=0)
        self.absolutes += np.abs(errors).sum(axis=0)
        self.loss_sum += float(losses.sum(dtype=np.float64))
        # Merged means (Chan et al. 1979): the plain sum of squares would cancel.
        mean = labels.mean(axis=0, dtype=np.float64)
        total = self.n + len(labels)
        difference = mean - self._mean
        self._spread += np.square(labels - mean).sum(axis=0)
        self._spread += np.square(difference) * (self.n * len(labels) / total)
        self._mean += difference * (len(labels) / total)
        self.n = total

    def result(self) -> dict[str, Any]:
        """Return mse, mae, r2, loss, n and own: means over the values of `of_each`."""
        rows = self.of_each()
        r2 = [row["r2"] for row in rows if row["r2"] is not None]
        return {
            "mse": float(np.mean([row["mse"] for row in rows])),
            "mae": float(np.mean([row["mae"] for row in rows])),
            "r2": float(np.mean(r2)) if r2 else None,
            "loss": self.loss_sum / self.n if self.n else math.nan,
            "n": self.n,
            **self.own,
        }

    def of_each(self) -> list[dict[str, float | None]]:
        """Return the figures of each value.

        Returns:
            mse, the mean squared error; mae, the mean absolute error; and r2, the coefficient of
            determination, 1 - sum of squared errors / sum of (label - mean label)^2. r2 is None if
            all labels are equal. mse and mae are NaN if n is 0.
        """
        if not self.n:
            return [{"mse": math.nan, "mae": math.nan, "r2": None} for _ in self.squares]
        return [
            {
                "mse": float(square) / self.n,
                "mae": float(absolute) / self.n,
                "r2": 1 - float(square) / float(spread) if spread > 0 else None,
            }
            for square, absolute, spread in zip(
                self.squares, self.absolutes, self._spread, strict=True
            )
        ]


Sums = EvaluationSums | LabelSums | ValueSums | HeadSums


def sums_of(targets: Targets, num_outputs: int, heads: Heads = ()) -> Sums:
    """Return empty sums for labels of this kind; num_outputs: of the network, of all its heads."""
    if heads:
        return HeadSums(heads)
    kinds: dict[Targets, type[EvaluationSums | LabelSums | ValueSums]] = {
        "classes": EvaluationSums,
        "labels": LabelSums,
        "values": ValueSums,
    }
    return kinds[targets](num_outputs)
