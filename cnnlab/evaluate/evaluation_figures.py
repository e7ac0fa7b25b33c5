"""The figures of an evaluation beyond its sums, for each kind of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.data.head_labels import classes_of_head
from cnnlab.evaluate.evaluation_data import EvaluationData
from cnnlab.run.metrics.head_sums import HeadSums
from cnnlab.run.metrics.mistakes import most_confused
from cnnlab.run.metrics.per_class import (
    FIGURES,
    averages,
    counts_against_others,
    per_class_figures,
    per_label_figures,
)
from cnnlab.run.metrics.scores import (
    Outputs,
    accuracy_interval,
    areas_under_curves,
    expected_calibration_error,
)
from cnnlab.run.metrics.sums import EvaluationSums
from cnnlab.run.metrics.target_sums import LabelSums, Sums, ValueSums
from cnnlab.run.metrics.thresholds import HALF


def figures_of(
    sums: Sums,
    outputs: Outputs,
    data: EvaluationData,
    top_k: int,
    thresholds: npt.NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Return the figures; see `cnnlab.evaluate.evaluate`.

    Args:
        sums: of all images.
        outputs: of the network, for each image.
        data: the images.
        top_k: of the option top_k, for classes.
        thresholds: float64 [labels], with which the sums were made; None: 1/2.
    """
    if isinstance(sums, EvaluationSums):
        names, labels = data.spec.class_names, data.split.labels
        return _figures_of_classes(sums, outputs, names, labels, top_k)
    if isinstance(sums, HeadSums):
        return {"heads": _figures_of_heads(sums, outputs, data, top_k)}
    if isinstance(sums, LabelSums):
        return _figures_of_labels(sums, outputs, data, thresholds)
    return _figures_of_values(sums, data)


def _figures_of_heads(
    sums: HeadSums, outputs: Outputs, data: EvaluationData, top_k: int
) -> dict[str, dict[str, Any]]:
    found = {}
    for head in data.spec.heads:
        own, labels = sums.of_each[head.name], classes_of_head(data.split.labels, head)
        of_classes = _figures_of_classes(
            own, outputs.of_each[head.name], head.class_names, labels, top_k
        )
        found[head.name] = {**own.result(), **of_classes}
    return found


def _figures_of_classes(
    sums: EvaluationSums,
    outputs: Outputs,
    class_names: tuple[str, ...],
    labels: npt.NDArray[np.int32],
    top_k: int,
) -> dict[str, Any]:
    areas = areas_under_curves(outputs.probabilities, labels)
    rows = per_class_figures(sums.confusion, class_names)
    per_class = [{**row, **area} for row, area in zip(rows, areas, strict=True)]
    macro, weighted = averages(per_class, counts_against_others(sums.confusion))
    is_correct = outputs.predicted == labels
    return {
        "top_k": top_k,
        "top_k_accuracy": sums.top_k_accuracy(top_k),
        "roc_auc": macro["roc_auc"],
        "pr_auc": macro["pr_auc"],
        "expected_calibration_error": expected_calibration_error(outputs.confidences, is_correct),
        "accuracy_interval": accuracy_interval(int(is_correct.sum()), len(labels)),
        "macro_average": macro,
        "weighted_average": weighted,
        "most_confused": most_confused(sums.confusion, class_names),
        "per_class": per_class,
        "confusion_matrix": sums.confusion.tolist(),
    }


def _figures_of_labels(
    sums: LabelSums,
    outputs: Outputs,
    data: EvaluationData,
    thresholds: npt.NDArray[np.float64] | None,
) -> dict[str, Any]:
    if thresholds is None:
        thresholds = np.full(data.spec.num_classes, HALF)
    areas = areas_under_curves(outputs.probabilities, data.split.labels)
    rows = per_label_figures(sums.counts, data.spec.class_names)
    per_label = [{**row, **area} for row, area in zip(rows, areas, strict=True)]
    macro, weighted = averages(per_label, sums.counts)
    # The micro mean is over all decisions, as if all labels were one.
    micro = per_label_figures(sums.counts.sum(axis=0, keepdims=True), ["micro"])[0]
    flat = outputs.probabilities.reshape(-1, 1), data.split.labels.reshape(-1, 1)
    micro |= areas_under_curves(*flat)[0]
    return {
        "roc_auc": macro["roc_auc"],
        "pr_auc": macro["pr_auc"],
        "macro_average": macro,
        "weighted_average": weighted,
        "micro_average": {name: micro[name] for name in FIGURES},
        "thresholds": dict(zip(data.spec.class_names, thresholds.tolist(), strict=True)),
        "per_label": per_label,
    }


def _figures_of_values(sums: ValueSums, data: EvaluationData) -> dict[str, Any]:
    rows = zip(data.spec.class_names, sums.of_each(), strict=True)
    return {"per_value": [{"name": name, **row} for name, row in rows]}
