"""What a network says about image files: one mapping for each, which depends on the labels.

classes: file, class, probability, and top, a list of {class, probability}.
labels: file, labels (the names of those whose probability is at least the threshold, by default
    1/2), and probabilities, a mapping from every label to its probability.
values: file, and values, a mapping from every value's name to the predicted value.
heads: file, and heads, a mapping from every head to class, probability and top, as above.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.data.specs import DatasetSpec
from cnnlab.run.metrics.thresholds import HALF
from cnnlab.run.ranking import Ranked

Answer = dict[str, Any]


def answers_of(
    files: Sequence[str],
    found: Ranked | npt.NDArray[np.float32],
    spec: DatasetSpec,
    top: int,
    thresholds: npt.NDArray[np.float64] | None = None,
) -> Iterator[Answer]:
    """Yield the answer for each file.

    Args:
        files: n paths.
        found: of classes and heads, their ranks; else float32 [n, k], probabilities of labels or
            values.
        spec: names the classes, labels or values.
        top: number of classes to name.
        thresholds: float64 [k], of labels; default: 1/2 for each.
    """
    names = spec.class_names
    if isinstance(found, Ranked) and spec.heads:
        for row, file in enumerate(files):
            of_each = {
                head.name: _classes(
                    found.classes[row, head.columns],
                    found.probabilities[row, head.columns],
                    head.class_names,
                    top,
                )
                for head in spec.heads
            }
            yield {"file": file, "heads": of_each}
        return
    if isinstance(found, Ranked):
        for file, indices, shares in zip(files, *found, strict=True):
            yield {"file": file, **_classes(indices, shares, names, top)}
        return
    least = np.full(len(names), HALF) if thresholds is None else thresholds
    for file, row, is_given in zip(files, found.tolist(), found >= least, strict=True):
        of_names = dict(zip(names, row, strict=True))
        if spec.targets == "labels":
            labels = [name for name, given in zip(names, is_given, strict=True) if given]
            yield {"file": file, "labels": labels, "probabilities": of_names}
        else:
            yield {"file": file, "values": of_names}


def _classes(
    indices: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float32],
    names: Sequence[str],
    top: int,
) -> Answer:
    """Return class, probability and top of one image, whose classes are ranked."""
    named = [
        {"class": names[index], "probability": share}
        for index, share in zip(indices[:top].tolist(), shares[:top].tolist(), strict=True)
    ]
    return {**named[0], "top": named}


def in_text(answer: Mapping[str, Any]) -> str:
    """Return an answer as text, without the file; the most probable class or label first."""
    if "heads" in answer:
        return "; ".join(f"{head}: {in_text(own)}" for head, own in answer["heads"].items())
    if "values" in answer:
        return ", ".join(f"{name} {value:.6g}" for name, value in answer["values"].items())
    if "probabilities" in answer:
        pairs = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
    else:
        pairs = [(one["class"], one["probability"]) for one in answer["top"]]
    return ", ".join(f"{name} {probability:.3f}" for name, probability in pairs)


def in_columns(answer: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return an answer as the columns of a table: (heading, value)."""
    columns = [("file", answer["file"])]
    if "heads" in answer:
        for head, own in answer["heads"].items():
            columns += _class_columns(own, f"{head}_")
        return columns
    if "top" not in answer:
        return [*columns, *answer.get("values", answer.get("probabilities", {})).items()]
    return [*columns, *_class_columns(answer)]


def _class_columns(answer: Mapping[str, Any], start: str = "") -> list[tuple[str, Any]]:
    columns = []
    for place, one in enumerate(answer["top"], 1):
        end = f"_{place}" if place > 1 else ""
        columns += [(f"{start}class{end}", one["class"])]
        columns += [(f"{start}probability{end}", one["probability"])]
    return columns
