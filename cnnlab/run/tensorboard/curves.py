"""Precision and recall over thresholds, one curve a class, for TensorBoard's PR curves tab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

THRESHOLDS = 127


class ClassCurve(NamedTuple):
    """One class against all others, at thresholds spaced evenly over [0, 1].

    An image is predicted to be of the class if its probability is >= the threshold.

    true_positives, false_positives, true_negatives, false_negatives: int64 [THRESHOLDS].
    precision, recall: float64 [THRESHOLDS], in [0, 1]. Precision is 1 where no image is predicted
        to be of the class. Recall is 0 if no image is of the class.
    """

    true_positives: npt.NDArray[np.int64]
    false_positives: npt.NDArray[np.int64]
    true_negatives: npt.NDArray[np.int64]
    false_negatives: npt.NDArray[np.int64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]


def class_curve(
    probabilities: npt.NDArray[np.float32], is_class: npt.NDArray[np.bool_]
) -> ClassCurve:
    """Return the curve of one class.

    Args:
        probabilities: float32 [n], the probability of the class.
        is_class: bool [n], whether each image is of the class.
    """
    thresholds = np.linspace(0, 1, THRESHOLDS).astype(np.float32)
    # Sorted by probability, so that the images at or above a threshold are the last ones.
    order = np.argsort(probabilities, kind="stable")
    below = np.searchsorted(probabilities[order], thresholds, side="left")
    positives_below = np.concatenate([[0], np.cumsum(is_class[order])])[below]
    positives = int(is_class.sum())
    true_positives = positives - positives_below
    false_negatives = positives_below
    true_negatives = below - positives_below
    false_positives = len(is_class) - positives - true_negatives
    counted = true_positives + false_positives
    return ClassCurve(
        true_positives,
        false_positives,
        true_negatives,
        false_negatives,
        np.where(counted > 0, true_positives / np.maximum(counted, 1), 1.0),
        true_positives / max(positives, 1),
    )


def curve_values(
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[Any],
    class_names: Sequence[str],
) -> list[Any]:
    """Return a `tf.Summary.Value` for each class, with the tag classes/CLASS/pr_curves.

    Args:
        probabilities: float32 [n, num_classes].
        labels: int [n], range [0, num_classes); or float32 [n, num_classes], 0 or 1.
        class_names: one for each class.
    """
    from tensorboard.plugins.pr_curve import summary

    values: list[Any] = []
    for index, name in enumerate(class_names):
        is_class = labels == index if labels.ndim == 1 else labels[:, index] == 1
        curve = class_curve(probabilities[:, index], is_class)
        pb = summary.raw_data_pb(
            f"classes/{name}", *curve, num_thresholds=THRESHOLDS, display_name=name
        )
        values.extend(pb.value)
    return values
