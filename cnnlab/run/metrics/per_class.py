"""The figures of each class, or of each label, and their means; computed from counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FIGURES = ("precision", "recall", "f1", "tpr", "tnr", "fpr", "fnr", "roc_auc", "pr_auc")


def per_class_figures(
    confusion: npt.NDArray[np.int64], class_names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the figures of each class against all others.

    Args:
        confusion: int64 [num_classes, num_classes]; rows: truth, columns: prediction.
        class_names: one name for each class.

    Returns:
        for each class: name, support (number of its images), and precision, recall, f1, tpr, tnr,
        fpr, fnr, each in [0, 1]. A figure is 0 if its denominator is 0.
    """
    return per_label_figures(counts_against_others(confusion), class_names)


def counts_against_others(confusion: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the counts of each class against all others.

    Args:
        confusion: int64 [num_classes, num_classes]; rows: truth, columns: prediction.

    Returns:
        int64 [num_classes, 4]: true positives, false positives, false negatives, true negatives.
    """
    true_positive = np.diagonal(confusion)
    false_positive = confusion.sum(axis=0) - true_positive
    false_negative = confusion.sum(axis=1) - true_positive
    true_negative = confusion.sum() - true_positive - false_positive - false_negative
    counts = (true_positive, false_positive, false_negative, true_negative)
    return np.stack(counts, axis=1)


def per_label_figures(counts: npt.NDArray[np.int64], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the figures of each label, as `per_class_figures` does of each class.

    Args:
        counts: int64 [num_labels, 4]; see `counts_against_others`.
        names: one for each label.
    """
    figures = []
    for name, row in zip(names, counts.tolist(), strict=True):
        true_positive, false_positive, false_negative, true_negative = row
        support = true_positive + false_negative
        recall = _ratio(true_positive, support)
        wrong = false_positive + false_negative
        figures.append(
            {
                "name": name,
                "support": support,
                "precision": _ratio(true_positive, true_positive + false_positive),
                "recall": recall,
                "f1": _ratio(2 * true_positive, 2 * true_positive + wrong),
                "tpr": recall,
                "tnr": _ratio(true_negative, true_negative + false_positive),
                "fpr": _ratio(false_positive, true_negative + false_positive),
                "fnr": _ratio(false_negative, support),
            }
        )
    return figures


def averages(
    per_class: Sequence[Mapping[str, Any]], counts: npt.NDArray[np.int64]
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return the means of the figures of the classes, or of the labels.

    The macro mean counts the classes that occur as truth or as prediction. Scikit-learn does the
    same if no labels are passed. A figure that a class does not have (None) counts in no mean.

    Args:
        per_class: for each class a mapping with all of FIGURES.
        counts: of the same classes; see `counts_against_others`.

    Returns:
        (macro, weighted): macro gives each class the same weight, weighted its support. A mean is
        None if no class has the figure.
    """
    support = counts[:, 0] + counts[:, 2]
    occurs = counts[:, :3].sum(axis=1) > 0
    macro, weighted = {}, {}
    for name in FIGURES:
        values = [row[name] for row in per_class]
        macro[name] = _mean(values, occurs)
        weighted[name] = _mean(values, support)
    return macro, weighted


def _mean(values: Sequence[float | None], weights: npt.NDArray[Any]) -> float | None:
    pairs = [
        (value, weight)
        for value, weight in zip(values, weights.tolist(), strict=True)
        if value is not None and weight
    ]
    if not pairs:
        return None
    return sum(value * weight for value, weight in pairs) / sum(weight for _, weight in pairs)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
