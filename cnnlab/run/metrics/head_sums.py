"""Sums over the images of an evaluation with a class for each of several heads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.graph.heads import Heads
from cnnlab.run.metrics.sums import EvaluationSums, check_finite


class HeadSums:
    """Sums of several heads, each as the sums of one class an image.

    Attributes:
        of_each: name of a head to the sums of its classes, with its cross-entropy as the loss.
        num_exact: number of images for which all heads are right.
        loss_sum: sum of the images' losses.
        n: number of images.
        own: the user's metrics of all images, by name.
    """

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self.of_each = {head.name: EvaluationSums(head.num_classes) for head in heads}
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
            logits: float32 [batch, classes of all heads].
            labels: float32 [batch, classes of all heads], one 1 for each head.
            losses: float32 [batch]; None: the weighted sum of the heads' cross-entropies.

        Raises:
            NonFiniteError: a logit is not finite.
        """
        check_finite(logits)
        is_exact = np.ones(len(labels), bool)
        for head in self._heads:
            own, sums = logits[:, head.columns], self.of_each[head.name]
            truth, before = labels[:, head.columns].argmax(axis=1), sums.loss_sum
            sums.add(own, truth)
            is_exact &= own.argmax(axis=1) == truth
            if losses is None:
                self.loss_sum += head.weight * (sums.loss_sum - before)
        if losses is not None:
            self.loss_sum += float(losses.sum(dtype=np.float64))
        self.num_exact += int(is_exact.sum())
        self.n += len(labels)

    def result(self) -> dict[str, Any]:
        """Return accuracy, exact_match, loss, n, heads and own; the figures are NaN if n is 0.

        accuracy is the mean over the heads. exact_match is the fraction of images for which all
        heads are right. heads has accuracy and loss of each head; its loss is the cross-entropy,
        without the head's weight.
        """
        found = {name: sums.result() for name, sums in self.of_each.items()}
        return {
            "accuracy": float(np.mean([figures["accuracy"] for figures in found.values()])),
            "exact_match": self.num_exact / self.n if self.n else math.nan,
            "loss": self.loss_sum / self.n if self.n else math.nan,
            "n": self.n,
            "heads": {
                name: {key: figures[key] for key in ("accuracy", "loss")}
                for name, figures in found.items()
            },
            **self.own,
        }
