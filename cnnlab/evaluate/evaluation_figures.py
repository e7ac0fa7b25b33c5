"""The figures of an evaluation beyond its sums, for each kind of labels."""

from __future__ import annotations

from typing import Any

from cnnlab.evaluate.evaluation_data import EvaluationData
from cnnlab.run.metrics.mistakes import most_confused
from cnnlab.run.metrics.per_class import (
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


def figures_of(sums: Sums, outputs: Outputs, data: EvaluationData, top_k: int) -> dict[str, Any]:
    """Return the figures; see `cnnlab.evaluate.evaluate`.

    Args:
        sums: of all images.
        outputs: of the network, for each image.
        data: the images.
        top_k: of the option top_k, for classes.
    """
    if isinstance(sums, EvaluationSums):
        return {
            "top_k": top_k,
            "top_k_accuracy": sums.top_k_accuracy(top_k),
            **_figures_of_classes(sums, outputs, data),
        }
    if isinstance(sums, LabelSums):
        return _figures_of_labels(sums, outputs, data)
    return _figures_of_values(sums, data)


def _figures_of_classes(
    sums: EvaluationSums, outputs: Outputs, data: EvaluationData
) -> dict[str, Any]:
    class_names, labels = data.spec.class_names, data.split.labels
    areas = areas_under_curves(outputs.probabilities, labels)
    rows = per_class_figures(sums.confusion, class_names)
    per_class = [{**row, **area} for row, area in zip(rows, areas, strict=True)]
    macro, weighted = averages(per_class, counts_against_others(sums.confusion))
    is_correct = outputs.predicted == labels
    return {
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


def _figures_of_labels(sums: LabelSums, outputs: Outputs, data: EvaluationData) -> dict[str, Any]:
    areas = areas_under_curves(outputs.probabilities, data.split.labels)
    rows = per_label_figures(sums.counts, data.spec.class_names)
    per_label = [{**row, **area} for row, area in zip(rows, areas, strict=True)]
    macro, weighted = averages(per_label, sums.counts)
    return {
        "roc_auc": macro["roc_auc"],
        "pr_auc": macro["pr_auc"],
        "macro_average": macro,
        "weighted_average": weighted,
        "per_label": per_label,
    }


def _figures_of_values(sums: ValueSums, data: EvaluationData) -> dict[str, Any]:
    rows = zip(data.spec.class_names, sums.of_each(), strict=True)
    return {"per_value": [{"name": name, **row} for name, row in rows]}
