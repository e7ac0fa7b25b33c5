"""Thresholds of several labels an image: from which probability on a label counts as given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import UsageError, nearest
from cnnlab.data.specs import DatasetSpec
from cnnlab.run.metrics.scores import counts_above

HALF: Final = 0.5  # of a label without a threshold of its own
Given = float | Sequence[float] | Mapping[str, float]


def thresholds_of(given: Given | None, spec: DatasetSpec) -> npt.NDArray[np.float64] | None:
    """Return the threshold of each label, float64 [labels]; None: none is given.

    Args:
        given: a number for all labels, one a label in order, or name of a label to its threshold.
        spec: names the labels.

    Raises:
        UsageError: the images have no labels, a name or the number of thresholds is wrong, or one
            is not in [0, 1].
    """
    if given is None:
        return None
    if spec.targets != "labels":
        raise UsageError("--thresholds is for several labels an image; the run has none")
    names = spec.class_names
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                hint = nearest(name, names) or f"; the labels are {', '.join(names[:12])}"
                raise UsageError(f"--thresholds: there is no label {name}{hint}")
        numbers = [float(given.get(name, HALF)) for name in names]
    elif isinstance(given, Sequence):
        numbers = [float(number) for number in given]
        if len(numbers) != len(names):
            raise UsageError(
                f"--thresholds has {len(numbers)} numbers for {len(names)} labels: "
                f"{', '.join(names[:12])}"
            )
    else:
        numbers = [float(given)] * len(names)
    for name, number in zip(names, numbers, strict=True):
        if not 0 <= number <= 1:
            raise UsageError(f"--thresholds: {number:g} of {name} is no probability; use 0 to 1")
    return np.array(numbers)


def best_thresholds(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Return for each label the threshold with the highest F1.

    It is in the middle between two probabilities that occur, or the smallest that occurs. Of equal
    ones it is the highest. A label that no image has gets 1/2.

    Args:
        probabilities: float32 [n, labels].
        labels: [n, labels], 0 or 1.

    Returns:
        float64 [labels].
    """
    found = []
    for scores, truth in zip(probabilities.T, labels.T, strict=True):
        is_positive = truth == 1
        if not is_positive.any():
            found.append(HALF)
            continue
        hits, misses = counts_above(scores, is_positive)
        f1 = 2 * hits / (hits + misses + is_positive.sum())
        best = int(f1.argmax())
        values = np.unique(scores)[::-1].astype(np.float64)
        found.append(float(values[best : best + 2].mean()))
    return np.array(found)
