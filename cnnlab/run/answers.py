"""What a network says about image files: one mapping for each, which depends on the labels.

classes: file, class, probability, and top, a list of {class, probability}.
labels: file, labels (the names of those whose probability is at least the threshold, by default
    1/2), and probabilities, a mapping from every label to its probability.
values: file, and values, a mapping from every value's name to the predicted value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.data.specs import DatasetSpec
from cnnlab.run.inference import Ranked
from cnnlab.run.metrics.thresholds import HALF

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
        found: of classes, their ranks; else float32 [n, k], probabilities of labels or values.
        spec: names the classes, labels or values.
        top: number of classes to name.
        thresholds: float64 [k], of labels; default: 1/2 for each.
    """
    names = spec.class_names
    if isinstance(found, Ranked):
        best, values = (array[:, :top].tolist() for array in found)
        for file, indices, shares in zip(files, best, values, strict=True):
            named = [
                {"class": names[index], "probability": share}
                for index, share in zip(indices, shares, strict=True)
            ]
            yield {"file": file, **named[0], "top": named}
        return
    least = np.full(len(names), HALF) if thresholds is None else thresholds
    for file, row, is_given in zip(files, found.tolist(), found >= least, strict=True):
        of_names = dict(zip(names, row, strict=True))
        if spec.targets == "labels":
            labels = [name for name, given in zip(names, is_given, strict=True) if given]
            yield {"file": file, "labels": labels, "probabilities": of_names}
        else:
            yield {"file": file, "values": of_names}


def in_text(answer: Mapping[str, Any]) -> str:
    """Return an answer as text, without the file; the most probable class or label first."""
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
    if "top" not in answer:
        return [*columns, *answer.get("values", answer.get("probabilities", {})).items()]
    for place, one in enumerate(answer["top"], 1):
        end = f"_{place}" if place > 1 else ""
        columns += [(f"class{end}", one["class"]), (f"probability{end}", one["probability"])]
    return columns
