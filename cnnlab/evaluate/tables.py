"""What an evaluation found, as tables: for people and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnlab.evaluate.evaluation_data import EvaluationData
from cnnlab.run.metrics.per_class import FIGURES
from cnnlab.run.metrics.scores import Outputs

LARGEST_MATRIX = 20  # classes: a larger confusion matrix is too wide for a terminal
MEANS = {"macro_average": "macro mean", "weighted_average": "weighted mean"}


def report(figures: Mapping[str, Any]) -> str:
    """The figures as a table for people; - where there is no such figure."""
    interval = figures["accuracy_interval"]
    which = "" if figures["split"] == "given" else f"{figures['split']} "
    lines = [
        f"step {figures['step']}, {figures['n']} {which}images of {figures['dataset']}: "
        f"accuracy {figures['accuracy']:.4f}, top-{figures['top_k']} "
        f"{figures['top_k_accuracy']:.4f}, loss {figures['loss']:.4f}",
        f"{interval['level']:.0%} interval of the accuracy {interval['low']:.4f} to "
        f"{interval['high']:.4f} (bootstrap), expected calibration error "
        f"{figures['expected_calibration_error']:.4f}",
        "",
    ]
    header = ["class", "images", *(name.replace("_", "-") for name in FIGURES)]
    rows = [[row["name"], str(row["support"]), *_decimals(row)] for row in figures["per_class"]]
    rows += [[title, str(figures["n"]), *_decimals(figures[key])] for key, title in MEANS.items()]
    lines += _aligned([header, *rows])
    lines.insert(len(lines) - len(MEANS), "")
    matrix = figures["confusion_matrix"]
    if len(matrix) <= LARGEST_MATRIX:
        names = [row["name"] for row in figures["per_class"]]
        # Numbers stand for names at the top: names would not fit.
        numbers = [str(number) for number in range(len(names))]
        body = [
            [f"{number} {name}" if name != number else name, *map(str, counts)]
            for number, name, counts in zip(numbers, names, matrix, strict=True)
        ]
        lines += ["", *_aligned([["truth \\ predicted", *numbers], *body])]
    if figures["most_confused"]:
        pairs = [
            [pair["truth"], pair["predicted"], str(pair["count"]), f"{pair['share']:.1%}"]
            for pair in figures["most_confused"]
        ]
        lines += ["", *_aligned([["most confused", "taken for", "images", "share"], *pairs], 2)]
    return "\n".join(lines)


def class_csv(figures: Mapping[str, Any]) -> str:
    """A line a class with its support and FIGURES, then the two means; empty where there is none.

    The means' lines have the name "macro mean" and "weighted mean".
    """
    rows = [[row["name"], row["support"], *map(row.get, FIGURES)] for row in figures["per_class"]]
    for key, title in MEANS.items():
        rows.append([title, figures["n"], *map(figures[key].get, FIGURES)])
    return _csv(["class", "support", *FIGURES], rows)


def predictions_csv(data: EvaluationData, outputs: Outputs) -> str:
    """A line an image: its index or file, the true and the predicted class's name, and the
    probabilities of both."""
    names = data.spec.class_names
    labels, predicted = data.split.labels, outputs.predicted
    of_truth = outputs.probabilities[np.arange(len(labels)), labels]
    rows = zip(
        range(len(labels)) if data.files is None else data.files,
        (names[label] for label in labels),
        (names[label] for label in predicted),
        outputs.confidences.tolist(),
        of_truth.tolist(),
        strict=True,
    )
    first = "index" if data.files is None else "file"
    return _csv([first, "truth", "predicted", "probability", "truth_probability"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _decimals(figures: Mapping[str, Any]) -> list[str]:
    return ["-" if figures[name] is None else f"{figures[name]:.4f}" for name in FIGURES]


def _aligned(rows: Sequence[Sequence[str]], left_columns: int = 1) -> list[str]:
    """Rows of equal length as lines; the first columns begin, the others end, at one place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < left_columns else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
