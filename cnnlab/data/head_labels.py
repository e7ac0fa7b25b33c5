"""Labels of several heads: one class an image for each of several kinds, such as colour and sleeve.

A Split holds them as float32 [n, classes of all heads]: one 1 in the columns of each head. See
`DatasetSpec.heads` for the columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError, nearest
from cnnlab.data.array_labels import default_names, fitting_labels, read_labels
from cnnlab.data.specs import OF_HEAD, DatasetSpec, Head

_MOST_NAMED: Final = 12  # heads that a message lists
Columns = dict[str, Any]  # head to its labels


def check_head_names(where: str, names: Iterable[str]) -> None:
    """Check the names of heads, which exported networks have as the names of their outputs.

    Raises:
        DataError: there is none, one has other letters, or two differ in case only.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "kind"
            raise DataError(
                f"{where} has the head {name!r}; a name has only letters, digits and _, and begins "
                f"with a letter, as in {plain if plain[0].isalpha() else f'head_{plain}'}"
            )
        if name.casefold() in seen:
            raise DataError(
                f"{where} has the heads {seen[name.casefold()]} and {name}; rename one of them"
            )
        seen[name.casefold()] = name
    if not seen:
        raise DataError(f"{where} has no head; name each kind of classes")


def class_of_head(head: str, name: str) -> str:
    """Return the name of a head's class among the classes of all heads."""
    return f"{head}{OF_HEAD}{name}"


def columns_of_heads(which: str, labels: Any) -> Columns | None:
    """Return the labels of each head, if a caller gave them by the heads' names; else None.

    Args:
        which: the name of the split in errors.
        labels: a mapping or a table from head to its labels, records with a field for each head, or
            for each image a mapping from head to class.

    Raises:
        DataError: an image lacks the class of a head.
    """
    if isinstance(labels, Mapping):
        return {str(name): column for name, column in labels.items()}
    if hasattr(labels, "columns") and hasattr(labels, "__getitem__"):  # a DataFrame of pandas
        return {str(name): labels[name] for name in labels.columns}
    if fields := getattr(getattr(labels, "dtype", None), "names", None):
        return {name: labels[name].tolist() for name in fields}
    if not isinstance(labels, (list, tuple)) or not labels or not isinstance(labels[0], Mapping):
        return None
    heads = list(labels[0])
    for index, row in enumerate(labels):
        odd = set(heads) ^ set(row if isinstance(row, Mapping) else ())
        if odd:
            raise DataError(
                f"{which} labels: the label at index {index} and the first one do not both have "
                f"the head {min(map(str, odd))}; give each image a class for each head"
            )
    return {str(head): [row[head] for row in labels] for head in heads}


def records_of_heads(labels: Mapping[Any, Any]) -> npt.NDArray[Any]:
    """Return the labels of one element of a stream as records, whose fields are the heads.

    Args:
        labels: head to the class of an image, or to the classes [batch] of a batch.

    Raises:
        DataError: there is no head, or the heads have different shapes.
    """
    columns = {str(name): np.asarray(column) for name, column in labels.items()}
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) > 1:
        raise DataError(
            "the data yields labels of heads that do not have one shape, [] or [batch]; give each "
            "image one class for each head"
        )
    # Texts of one stream have different lengths, so they are held as objects.
    kinds = [(name, object if c.dtype.kind in "SU" else c.dtype) for name, c in columns.items()]
    records = np.empty(shape, kinds)
    for name, column in columns.items():
        records[name] = column
    return records


def check_same_heads(which: str, parts: Sequence[npt.NDArray[Any]]) -> None:
    """Raise DataError if the records of a stream's elements have different heads.

    Args:
        which: the name of the data in errors.
        parts: one part of each element, such as its labels; it need not be records.
    """
    heads = parts[0].dtype.names
    for part in parts:
        if part.dtype.names != heads:
            found, first = (", ".join(names or ("none",)) for names in (part.dtype.names, heads))
            raise DataError(
                f"the {which} data yields labels of the heads {found} after {first}; give each "
                "image a class for each head, always in one order"
            )


def numbered_heads(
    which: str, labels: npt.NDArray[Any], names: Sequence[str] | None = None
) -> Columns:
    """Return the labels of each head of integers [n, heads]; names: default head_0, head_1, ...

    Raises:
        DataError: the labels are something else.
    """
    if labels.dtype.kind not in "iub" or labels.ndim != 2:
        raise DataError(
            f"{which} labels are {labels.dtype} of shape {labels.shape}, expected with "
            "targets='heads' integers [n, heads], or a mapping of each head to its labels"
        )
    if names is None:
        names = [f"head_{i}" for i in range(labels.shape[1])]
    if len(names) != labels.shape[1]:
        raise DataError(
            f"{which} labels have {labels.shape[1]} columns for {len(names)} heads: "
            f"{', '.join(names[:_MOST_NAMED])}"
        )
    return dict(zip(names, labels.T, strict=True))


def names_of_heads(
    splits: Mapping[str, Columns],
    class_names: Sequence[str] | Mapping[str, Sequence[str]] | None,
) -> tuple[str, ...]:
    """Return the classes of all heads, HEAD=CLASS.

    Args:
        splits: the labels of each split, that of training among them.
        class_names: head to the names of its classes; default: as `default_names` says.

    Raises:
        DataError: a head has a name or fewer than two classes that cannot be used.
    """
    heads = list(splits["train"])
    check_head_names("the training set", heads)
    of_head = class_names if isinstance(class_names, Mapping) else {}
    if class_names is not None and set(of_head) != set(heads):
        raise DataError(
            f"class_names must be a mapping with the names of the classes of each head: "
            f"{', '.join(heads[:_MOST_NAMED])}"
        )
    joined: list[str] = []
    for head in heads:
        read = {which: _read(which, head, columns) for which, columns in splits.items()}
        order = [read["train"], *(labels for which, labels in read.items() if which != "train")]
        given = default_names("classes", order) if class_names is None else of_head[head]
        names = [str(name) for name in given]
        if len(names) < 2 or len(set(names)) < len(names):
            what = "two classes of one name" if len(names) > 1 else f"only the class {names[0]}"
            raise DataError(
                f"the head {head} has {what}; a head needs at least two different classes; if the "
                "training set or its first batch lacks some, name all in class_names"
            )
        joined += [class_of_head(head, name) for name in names]
    return tuple(joined)


def fitting_heads(which: str, labels: Any, spec: DatasetSpec) -> npt.NDArray[np.float32]:
    """Return labels as a Split holds them.

    Args:
        which: the name of the split in errors.
        labels: head to its labels, in any form that `columns_of_heads` takes; integers [n, heads];
            or what this function returns.
        spec: names the heads and their classes.

    Raises:
        DataError: a head is missing or unknown, or its labels do not fit.
    """
    heads = spec.heads
    columns = columns_of_heads(which, labels)
    if columns is None:
        array = np.asarray(labels)
        if array.shape[1:] == (spec.num_classes,) and _are_joined(array, heads):
            return np.ascontiguousarray(array, np.float32)
        columns = numbered_heads(which, array, [head.name for head in heads])
    known = [head.name for head in heads]
    for name in columns:
        if name not in known:
            hint = nearest(name, known) or f"; the heads are {', '.join(known[:_MOST_NAMED])}"
            raise DataError(f"{which} labels: there is no head {name}{hint}")
    joined = []
    for head in heads:
        if head.name not in columns:
            raise DataError(
                f"{which} labels: the head {head.name} is missing; give each image a class for "
                "each head"
            )
        own = _read(which, head.name, columns)
        numbers = fitting_labels(_where(which, head.name), own, "classes", head.class_names)
        joined.append(np.eye(len(head.class_names), dtype=np.float32)[numbers])
    if len({len(rows) for rows in joined}) > 1:
        sizes = ", ".join(f"{h.name} {len(rows)}" for h, rows in zip(heads, joined, strict=True))
        raise DataError(f"{which} labels: the heads have different numbers of labels: {sizes}")
    return np.concatenate(joined, axis=1)


def classes_of_head(labels: npt.NDArray[np.float32], head: Head) -> npt.NDArray[np.int32]:
    """Return the classes of one head, int32 [n], of labels as a Split holds them."""
    return labels[:, head.columns].argmax(axis=1).astype(np.int32)


def _are_joined(labels: npt.NDArray[Any], heads: Sequence[Head]) -> bool:
    """Return whether each row has one 1 among zeros in the columns of each head."""
    if labels.dtype.kind not in "iubf" or not ((labels == 0) | (labels == 1)).all():
        return False
    return all((labels[:, head.columns].sum(axis=1) == 1).all() for head in heads)


def _read(which: str, head: str, columns: Columns) -> npt.NDArray[Any]:
    if head not in columns:
        raise DataError(
            f"{which} labels: the head {head} is missing; give each image a class for each head"
        )
    labels = read_labels(_where(which, head), columns[head])
    if labels.dtype.kind == "U" and (empty := np.flatnonzero(labels == "")).size:
        raise DataError(
            f"{_where(which, head)} labels: the label at index {empty[0]} is missing; give each "
            "image a class for each head"
        )
    return labels


def _where(which: str, head: str) -> str:
    return f"{which} {head}"  # "train colour labels: ..."
