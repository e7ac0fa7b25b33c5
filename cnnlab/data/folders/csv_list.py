"""Lists the pictures of list:FILE.csv, a table with the columns path, label and perhaps split.

With the column labels instead of label, a picture has any number of labels, as in a;b. With value,
or several of value_NAME, it has numbers to predict. With none of them, the other columns are heads:
kinds of classes, of each of which a picture has one.
"""

from __future__ import annotations

import csv
import functools
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from cnnlab.base.errors import DataError, nearest
from cnnlab.base.files import read_text
from cnnlab.data.folders.class_folders import SPLIT_FOLDERS, check_labels
from cnnlab.data.folders.found import (
    BETWEEN,
    TEST,
    TRAIN,
    VALIDATION,
    Found,
    Listing,
    joined_labels,
    labels_of,
)
from cnnlab.data.folders.value_columns import hint_of_number, numbers_of, value_columns, value_names
from cnnlab.data.head_labels import check_head_names, class_of_head
from cnnlab.data.specs import OF_HEAD

_MAX_BYTES = 1_000_000_000
_COLUMNS = ("path", "label", "split")
_LABELS = "labels"  # instead of label


def list_csv(file: str, chosen: Sequence[str] | None = None) -> Listing:
    """List the pictures that a table names.

    Its first line has the names of the columns; without it they are path, label, split. Relative
    paths are from the folder of the table. The column labels has any number of labels, separated by
    ; or none. The column value, or each value_NAME, has a number. Without any of them, the other
    columns are heads, at least two. A split is train, val (or valid, validation) or test.

    Args:
        file: path of the table.
        chosen: the columns that are heads; None: as above.

    Raises:
        DataError: the table is missing, has another form, or names a file that is missing, a file
            twice, an unknown split, or a class that training lacks; or a picture has no class, or a
            head has one class only, or a value is no number.
    """
    if not os.path.isfile(file):
        raise DataError(f"--dataset=list:{file}: there is no such file; check the path")
    try:
        lines = read_text(Path(file), _MAX_BYTES).removeprefix("\ufeff").splitlines()
        rows = list(enumerate(csv.reader(lines, strict=True), start=1))
    except csv.Error as error:
        raise DataError(f"{file} is not a table in CSV form: {error}") from error
    rows = [(line, [cell.strip() for cell in row]) for line, row in rows if any(row)]
    columns = _columns(file, rows, chosen)
    values = value_columns(columns) if chosen is None else ()
    heads = () if values else _heads(file, columns, chosen)
    folder = os.path.dirname(os.path.abspath(file))
    found: list[Found] = []
    lines_of: dict[str, int] = {}
    for line, row in rows:
        cells = dict(zip(columns, row, strict=False))
        one = _picture(f"{file}, line {line}", cells, folder, heads, values)
        if len(row) != len(columns):
            raise DataError(
                f"{file}, line {line} has {len(row)} cells, expected {len(columns)}: "
                f"{','.join(columns)}; put a path with a comma into quotation marks"
            )
        earlier = lines_of.setdefault(_real_path(one.path), line)
        if earlier != line:
            raise DataError(f"{file} names {one.name} in the lines {earlier} and {line}; keep one")
        found.append(one)
    if not found:
        raise DataError(f"{file} names no picture; give it rows of {','.join(columns)}")
    has_labels = _LABELS in columns and not heads
    has_several = has_labels or bool(heads) or bool(values)
    names = [labels_of(one, has_several=has_several) for one in found]
    if not values:
        check_labels(file, itertools.chain(*names), has_several=has_several)
    _check_classes(file, heads, names)
    of_training = zip(found, names, strict=True)
    known = {name for one, own in of_training if one.split in (None, TRAIN) for name in own}
    for one, own in zip(found, names, strict=True):
        for name in own:
            if name not in known:
                what = "label" if has_labels else "class"
                raise DataError(
                    f"{file}: {one.split} has the {what} {name}, "
                    "which train has not; correct the label of its rows, or add rows to train"
                    + hint_of_number(name)
                )
    if all(one.split == TRAIN for one in found):
        raise DataError(
            f"{file} has rows for {TRAIN} only; give some of them the split {TEST}, or leave the "
            "split empty in all lines, so that --test_split of them are held out"
        )
    found.sort(key=lambda one: one.name)
    return Listing(found, [], [], has_several, heads, value_names(file, values))


def _real_path(path: str) -> str:
    """Return a path without links; quick for a million files in few folders."""
    if os.path.islink(path):
        return os.path.realpath(path)
    return os.path.join(_real_folder(os.path.dirname(path)), os.path.basename(path))


@functools.cache
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _columns(
    file: str, rows: list[tuple[int, list[str]]], chosen: Sequence[str] | None
) -> list[str]:
    """Return the names of the columns, and remove the line that has them."""
    if not rows:
        return list(_COLUMNS[:2])
    first = [cell.lower() for cell in rows[0][1]]
    if chosen is not None:
        if "path" not in first:
            raise DataError(
                f"--heads: {file} does not begin with a line of the names of its columns, such as "
                f"path,{','.join(chosen)}"
            )
        _, names = rows.pop(0)
        return [name.lower() if name.lower() in ("path", "split") else name for name in names]
    if "path" in first and ("label" in first) != (_LABELS in first):
        del rows[0]
        return first
    kinds = [name for name in first if name not in (*_COLUMNS, _LABELS)]
    if "path" in first and len(first) - len(kinds) == 1 + ("split" in first) and kinds:
        _, names = rows.pop(0)
        return [name.lower() if name.lower() in _COLUMNS else name for name in names]
    if len(first) not in (2, 3):
        raise DataError(
            f"{file} has {len(first)} columns and no line with their names; begin it with the line "
            f"{','.join(_COLUMNS)}"
        )
    return list(_COLUMNS[: len(first)])


def _heads(file: str, columns: list[str], chosen: Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns that are heads; none if there is a column label or labels."""
    if chosen is not None:
        others = [name for name in columns if name not in ("path", "split")]
        for name in chosen:
            if name not in others:
                hint = nearest(name, others) or f"; it has {', '.join(columns)}"
                raise DataError(f"--heads: {file} has no column {name}{hint}")
        check_head_names(file, chosen)
        return tuple(chosen)
    heads = tuple(name for name in columns if name not in _COLUMNS)
    if "label" in columns or _LABELS in columns:
        return ()
    if len(heads) == 1:
        raise DataError(
            f"{file} has the columns {', '.join(columns)}; call {heads[0]} label, or value if "
            "it has numbers to predict, or give more columns, one for each kind of classes; "
            f"--heads={heads[0]} makes it the only kind"
        )
    check_head_names(file, heads)
    return heads


def _check_classes(file: str, heads: tuple[str, ...], names: list[list[str]]) -> None:
    """Raise DataError if a head has one class only."""
    for column, head in enumerate(heads):
        classes = {own[column] for own in names}
        if len(classes) == 1:
            (only,) = classes
            raise DataError(
                f"{file}: the column {head} has only the class {only.partition(OF_HEAD)[2]}; a "
                "network needs at least two classes to tell apart, so remove the column"
            )


def _classes(where: str, row: dict[str, str], heads: tuple[str, ...]) -> str:
    """Return the class of each head as joined labels."""
    for head in heads:
        if not row.get(head):
            raise DataError(
                f"{where} has no {head}; a picture needs a class in each column: add it or remove "
                "the line"
            )
        if BETWEEN in row[head]:
            raise DataError(
                f"{where} has the {head} {row[head]}, but {BETWEEN} separates labels; a column has "
                "one class, so rename it"
            )
    return BETWEEN.join(class_of_head(head, row[head]) for head in heads)


def _picture(
    where: str,
    row: dict[str, str],
    folder: str,
    heads: tuple[str, ...],
    values: tuple[str, ...],
) -> Found:
    name, label, split = (row.get(column, "") for column in _COLUMNS)
    has_several = _LABELS in row or bool(values)
    if heads and name:
        label = _classes(where, row, heads)
    elif _LABELS in row:
        label = joined_labels(row[_LABELS])
    numbers = numbers_of(where, row, values) if name else ()
    if not name or not (label or has_several):
        raise DataError(f"{where} has no {'label' if name else 'path'}; add it or remove the line")
    path = os.path.join(folder, os.path.expanduser(name))
    if not os.path.exists(path):
        raise DataError(f"{where}: there is no file {path}; correct the path or remove the line")
    if split and split.lower() not in SPLIT_FOLDERS:
        raise DataError(
            f"{where} has the split {split}; it is {TRAIN}, {VALIDATION} or {TEST}, or empty in "
            "all lines"
        )
    return Found(path, name, label, SPLIT_FOLDERS[split.lower()] if split else None, numbers)
