"""The figures of an evaluation as tables: for people and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.safe_text import for_csv
from cnnlab.config.terminal import render_table
from cnnlab.data.head_labels import classes_of_head
from cnnlab.evaluate.evaluation_data import EvaluationData
from cnnlab.run.metrics.per_class import FIGURES
from cnnlab.run.metrics.scores import Outputs
from cnnlab.run.metrics.shown import in_words

LARGEST_MATRIX = 20  # classes: a larger confusion matrix is too wide for a terminal
VALUE_FIGURES = ("mse", "mae", "r2")
_CLASS_FIELDS = ("truth", "predicted", "probability", "truth_probability")
MEANS = {
    "macro_average": "macro mean",
    "weighted_average": "weighted mean",
    "micro_average": "micro mean",  # of several labels only
}


def report(figures: Mapping[str, Any], own: Iterable[str] = ()) -> str:
    """Return the figures of `cnnlab.evaluate.evaluate` as text for stdout; "-" means None.

    Args:
        figures: what `evaluate` returned.
        own: the names of the user's metrics.
    """
    which = "" if figures["split"] == "given" else f"{figures['split']} "
    start = f"step {figures['step']}, {figures['n']} {which}images of {figures['dataset']}: "
    if "per_value" in figures:
        return "\n".join([start + in_words(figures, own), "", _table_of_values(figures)])
    if "per_label" in figures:
        return "\n".join([start + in_words(figures, own), "", _table_of_classes(figures, "label")])
    if "heads" in figures:
        lines = [start + in_words(figures, own)]
        for head, found in figures["heads"].items():
            lines += ["", *_lines_of_classes(f"{head}: ", found)]
        return "\n".join(lines)
    return "\n".join(_lines_of_classes(start, figures, own))


def _lines_of_classes(start: str, figures: Mapping[str, Any], own: Iterable[str] = ()) -> list[str]:
    """Return the figures of one class an image, or of one head; start: of the first line."""
    interval = figures["accuracy_interval"]
    lines = [
        f"{start}accuracy {figures['accuracy']:.4f}, top-{figures['top_k']} "
        f"{figures['top_k_accuracy']:.4f}, loss {figures['loss']:.4f}"
        + "".join(f", {name} {figures[name]:.4f}" for name in own),
        f"{interval['level']:.0%} interval of the accuracy {interval['low']:.4f} to "
        f"{interval['high']:.4f} (bootstrap), expected calibration error "
        f"{figures['expected_calibration_error']:.4f}",
    ]
    lines += ["", _table_of_classes(figures, "class")]
    matrix = figures["confusion_matrix"]
    if len(matrix) <= LARGEST_MATRIX:
        names = [row["name"] for row in figures["per_class"]]
        numbers = [str(number) for number in range(len(names))]  # names are too wide for headings
        rows = [
            [f"{number} {name}" if name != number else name, *map(str, counts)]
            for number, name, counts in zip(numbers, names, matrix, strict=True)
        ]
        lines += ["", render_table(["truth \\ predicted", *numbers], rows)]
    if figures["most_confused"]:
        columns = ["most confused", "taken for", "images", "share"]
        rows = [
            [pair["truth"], pair["predicted"], str(pair["count"]), f"{pair['share']:.1%}"]
            for pair in figures["most_confused"]
        ]
        lines += ["", render_table(columns, rows, left_columns=2)]
    return lines


def _table_of_classes(figures: Mapping[str, Any], what: str) -> str:
    """Return the table of the figures of each class, or of each label."""
    columns = [what, "images", *(name.replace("_", "-") for name in FIGURES)]
    found = figures[f"per_{what}"]
    rows = [[row["name"], str(row["support"]), *_decimals(row)] for row in found]
    rows.append([])
    rows += [[title, str(figures["n"]), *_decimals(figures[key])] for key, title in _means(figures)]
    if thresholds := figures.get("thresholds"):
        columns.insert(1, "threshold")
        for row in rows:
            if row:
                row.insert(1, f"{thresholds[row[0]]:.4g}" if row[0] in thresholds else "")
    return render_table(columns, rows)


def _means(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the means that the figures have: their keys, and their titles."""
    return [(key, title) for key, title in MEANS.items() if key in figures]


def _table_of_values(figures: Mapping[str, Any]) -> str:
    rows = [[row["name"], *_decimals(row, VALUE_FIGURES)] for row in figures["per_value"]]
    return render_table(["value", *VALUE_FIGURES], rows)


def class_csv(figures: Mapping[str, Any]) -> str:
    """Return the CSV text with a line per class or label: its name, support and FIGURES.

    More lines, "macro mean", "weighted mean" and with labels "micro mean", hold the means. A figure
    that is None is an empty field. With real values, a line per value has its name and
    VALUE_FIGURES. With several heads, each line begins with the name of the head.
    """
    if "heads" in figures:
        lines = [
            [head, *row] for head, own in figures["heads"].items() for row in _rows(own, "class")
        ]
        return _csv(["head", "class", "support", *FIGURES], lines)
    if "per_value" in figures:
        found = figures["per_value"]
        return _csv(
            ["value", *VALUE_FIGURES],
            [[row["name"], *map(row.get, VALUE_FIGURES)] for row in found],
        )
    what = "label" if "per_label" in figures else "class"
    return _csv([what, "support", *FIGURES], _rows(figures, what))


def _rows(figures: Mapping[str, Any], what: str) -> list[list[Any]]:
    found = figures[f"per_{what}"]
    rows = [[row["name"], row["support"], *map(row.get, FIGURES)] for row in found]
    for key, title in _means(figures):
        rows.append([title, figures["n"], *map(figures[key].get, FIGURES)])
    return rows


def predictions_csv(data: EvaluationData, outputs: Outputs) -> str:
    """Return the CSV text with a line per image.

    The fields: index or file, names of the true and the predicted class, and the probabilities of
    the predicted and the true class. With several labels an image, or real values, there are two
    fields for each: the truth, and the probability or the predicted value. With several heads,
    there are the fields of one class an image for each head, after its name.
    """
    if data.spec.heads:
        return _heads_csv(data, outputs)
    if data.spec.targets != "classes":
        return _outputs_csv(data, outputs)
    labels = data.split.labels
    rows = zip(_places(data), *_columns(outputs, data.spec.class_names, labels), strict=True)
    return _csv([_first(data), *_CLASS_FIELDS], rows)


def _heads_csv(data: EvaluationData, outputs: Outputs) -> str:
    header: list[str] = [_first(data)]
    columns: list[Iterable[Any]] = [_places(data)]
    for head in data.spec.heads:
        header += [f"{head.name} {field}" for field in _CLASS_FIELDS]
        labels = classes_of_head(data.split.labels, head)
        columns += _columns(outputs.of_each[head.name], head.class_names, labels)
    return _csv(header, zip(*columns, strict=True))


def _columns(
    outputs: Outputs, names: Sequence[str], labels: npt.NDArray[Any]
) -> list[Sequence[Any]]:
    """Return the columns of _CLASS_FIELDS; labels: int [n]."""
    of_truth = outputs.probabilities[np.arange(len(labels)), labels]
    return [
        [names[label] for label in labels.tolist()],
        [names[label] for label in outputs.predicted.tolist()],
        outputs.confidences.tolist(),
        of_truth.tolist(),
    ]


def _places(data: EvaluationData) -> Sequence[Any]:
    return range(len(data.split.labels)) if data.files is None else data.files


def _first(data: EvaluationData) -> str:
    return "index" if data.files is None else "file"


def _outputs_csv(data: EvaluationData, outputs: Outputs) -> str:
    what = "probability" if data.spec.targets == "labels" else "predicted"
    header = [_first(data)]
    for name in data.spec.class_names:
        header += [f"{name} truth", f"{name} {what}"]
    both = np.stack([data.split.labels, outputs.probabilities], axis=2)  # [n, k, 2]
    rows = zip(_places(data), both.reshape(len(both), -1).tolist(), strict=True)
    return _csv(header, ([place, *values] for place, values in rows))


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([for_csv(cell) for cell in row] for row in rows)
    return text.getvalue()


def _decimals(figures: Mapping[str, Any], names: Sequence[str] = FIGURES) -> list[str]:
    return ["-" if figures[name] is None else f"{figures[name]:.4f}" for name in names]
