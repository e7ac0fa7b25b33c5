"""Labels of arrays: what kind they are, and how they become what a Split holds.

A data set has one kind of labels, `DatasetSpec.targets`:
    classes: one class an image. Given as numbers from 0, names, booleans, or one-hot rows; two
        classes also as -1 and 1, as Keras's hinge takes them. Held as int32 [n].
    labels: any number of labels an image, each 0 or 1. Held as float32 [n, labels].
    values: real numbers to predict. Held as float32 [n, values].
    heads: one class an image for each of several kinds; see `cnnlab.data.head_labels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.data.array_images import array_of
from cnnlab.data.files.formats import check_labels
from cnnlab.data.specs import Targets

_MOST_NAMED = 12  # classes that a message lists
_CURE = "give each image the number or the name of its class"


def read_labels(which: str, labels_like: Any) -> npt.NDArray[Any]:
    """Return labels as an array [n] or [n, k] of integers, booleans, floats or texts.

    Raises:
        DataError: they are none of these, or some are missing or not finite.
    """
    labels = array_of(f"{which} labels", labels_like)
    if labels.dtype.kind in "US" and labels.ndim == 1 and not isinstance(labels_like, np.ndarray):
        labels = np.array(list(labels_like), object)  # NumPy would take NaN for the text "nan"
    if labels.dtype.kind == "O" and labels.ndim == 1:
        labels = _of_objects(which, labels)
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "backslashreplace")
    if labels.ndim == 2 and labels.shape[1] == 1:  # the shape of CIFAR's labels in Keras
        labels = labels[:, 0]
    is_known = labels.dtype.kind in "iubf" or (labels.dtype.kind == "U" and labels.ndim == 1)
    if not is_known or labels.ndim not in (1, 2):
        raise _unfit(which, labels, "integers [n]", _CURE)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        row = np.argwhere(~np.isfinite(labels))[0][0]
        raise DataError(
            f"{which} labels: the label at index {row} is {np.ravel(labels[row])[:8]}, not finite; "
            "remove the image, or repair its label"
        )
    return labels


def _of_objects(which: str, labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return objects of one kind, such as a column of pandas, as an array of that kind."""
    for kinds in ((str,), (bytes,), (bool, np.bool_), (int, float, np.number)):
        if labels.size and all(isinstance(label, kinds) for label in labels):
            return array_of(f"{which} labels", labels.tolist())
    first = type(labels[0]) if labels.size else object
    odd = next((i for i, label in enumerate(labels) if not isinstance(label, first)), 0)
    raise DataError(
        f"{which} labels are objects of different types; the label at index {odd} is "
        f"{labels[odd] if labels.size else None!r}; {_CURE}"
    )


def targets_of(labels: npt.NDArray[Any]) -> Targets:
    """Return the kind of training labels, which `read_labels` returned.

    Raises:
        DataError: they may be of two kinds.
    """
    is_whole = labels.dtype.kind != "f" or bool((labels == np.floor(labels)).all())
    if labels.ndim == 1:
        if labels.dtype.kind != "f":
            return "classes"
        if is_whole:
            cure = (
                "if they number classes, convert them with labels.astype('int64'); if they are "
                "values to predict, say so with dataset_from_arrays(..., targets='values')"
            )
            raise _unfit("train", labels, "integers [n]", cure)
        return "values"
    if is_one_hot(labels):
        return "classes"
    if ((labels == 0) | (labels == 1)).all():
        return "labels"
    if is_whole and labels.dtype.kind != "f":
        cure = (
            f"{_CURE}; if they are values to predict, say targets='values', and if each column has "
            "the classes of one head, targets='heads'"
        )
        raise _unfit("train", labels, "integers [n]", cure)
    return "values"


def checked_targets(targets: str) -> Targets:
    """Return the kind that a caller named.

    Raises:
        DataError: there is no such kind.
    """
    if targets not in get_args(Targets):
        raise DataError(f"targets={targets!r} is none of {', '.join(get_args(Targets))}")
    return targets  # type: ignore[return-value]


def default_names(targets: Targets, splits: Sequence[npt.NDArray[Any]]) -> list[str]:
    """Return the names of the classes, of the labels, or of the values.

    Args:
        targets: the kind.
        splits: the labels of each split, that of training first.
    """
    train = splits[0]
    if train.dtype.kind == "U":
        return [str(name) for name in np.unique(train)]
    if targets == "classes" and train.ndim == 1:
        if train.dtype.kind == "b":
            return ["False", "True"]
        if is_signed(train):
            return ["-1", "1"]
        largest = max(
            (
                int(labels.max())
                for labels in splits
                if labels.ndim == 1 and labels.dtype.kind in "iu" and labels.size
            ),
            default=0,
        )
        return [str(label) for label in range(largest + 1)]
    count = 1 if train.ndim == 1 else train.shape[1]
    return ["value"] if targets == "values" and count == 1 else [str(i) for i in range(count)]


def fitting_labels(
    which: str, labels: npt.NDArray[Any], targets: Targets, names: Sequence[str]
) -> npt.NDArray[Any]:
    """Return labels as a Split holds them.

    Args:
        which: the name of the split in errors.
        labels: as `read_labels` returns them, n >= 1.
        targets: the kind of labels that the data set has.
        names: of its classes, labels or values.

    Raises:
        DataError: labels of another kind, an unknown class, or another number of columns.
    """
    if targets == "classes":
        return np.ascontiguousarray(_classes(which, labels, names), np.int32)
    columns = labels[:, None] if labels.ndim == 1 else labels
    if labels.dtype.kind == "U" or columns.shape[1] != len(names):
        kind = "of 0 and 1" if targets == "labels" else "numbers"
        raise _unfit(which, labels, f"{kind} [n, {len(names)}]", "give them one column per name")
    if targets == "labels" and (wrong := (columns != 0) & (columns != 1)).any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"{which} labels: the label {columns[row, column]} at index {row} is neither 0 nor 1; "
            "with several labels an image, each is 0 or 1"
        )
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(columns, np.float32)
    if not np.isfinite(floats).all():
        raise DataError(f"{which} labels are too large for float32; divide them by a constant")
    return floats


def _classes(which: str, labels: npt.NDArray[Any], names: Sequence[str]) -> npt.NDArray[Any]:
    if labels.dtype.kind == "U":
        numbers = {name: number for number, name in enumerate(names)}
        if unknown := [str(name) for name in np.unique(labels) if str(name) not in numbers]:
            raise DataError(
                f"{which} labels: no class {_listed(unknown)}; the classes are {_listed(names)}"
            )
        return np.array([numbers[str(name)] for name in labels])
    if labels.ndim == 2:
        if labels.shape[1] != len(names):
            shape = f"one-hot rows [n, {len(names)}] or integers [n]"
            raise _unfit(which, labels, shape, "give each class one column")
        if not is_one_hot(labels):
            row = int(np.flatnonzero(_is_not_one_hot(labels))[0])
            raise DataError(
                f"{which} labels: the row at index {row} is not one-hot, as those of training are; "
                "if images have several labels, use dataset_from_arrays(..., targets='labels')"
            )
        return labels.argmax(axis=1)
    if labels.dtype.kind == "f":
        raise _unfit(which, labels, "integers [n]", "convert them with labels.astype('int64')")
    numbers_only = labels.astype(np.int64) if labels.dtype.kind == "b" else labels
    if len(names) == 2 and is_signed(numbers_only):
        return (numbers_only > 0).astype(np.int64)
    check_labels(numbers_only, f"{which} labels", len(names), "number the classes from 0")
    return numbers_only


def is_signed(labels: npt.NDArray[Any]) -> bool:
    """Return whether integer labels [n] are -1, or -1 and 1."""
    return bool(labels.size and labels.min() == -1 and np.isin(labels, (-1, 1)).all())


def is_one_hot(labels: npt.NDArray[Any]) -> bool:
    """Return whether each row of labels [n, num_classes] has a single 1 among zeros."""
    return not _is_not_one_hot(labels).any()


def _is_not_one_hot(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    wrong: npt.NDArray[np.bool_]
    wrong = ((labels == 1).sum(axis=1) != 1) | ((labels != 0).sum(axis=1) != 1)
    return wrong


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _unfit(which: str, labels: npt.NDArray[Any], expected: str, cure: str) -> DataError:
    return DataError(
        f"{which} labels are {labels.dtype} of shape {labels.shape}, expected {expected}: {cure}"
    )
