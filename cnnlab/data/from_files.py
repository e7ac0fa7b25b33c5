"""Arrays from a table of image files: a DataFrame of pandas, or a list of (path, label)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.data.image_files.headers import read_header
from cnnlab.data.image_files.image_reader import read_images
from cnnlab.data.image_files.images import unwarned

PATH, LABEL, SPLIT = "path", "label", "split"  # columns
SPLITS = ("train", "validation", "test")
_BATCH = 500  # files read at a time


def is_table(given: object) -> bool:
    """Return whether this is a DataFrame, or a list of (path, label)."""
    if hasattr(given, "columns") and hasattr(given, "__getitem__"):
        return True
    if not isinstance(given, (list, tuple)) or not given:
        return False
    return all(
        isinstance(row, (list, tuple)) and len(row) == 2 and isinstance(row[0], (str, os.PathLike))
        for row in given
    )


def splits_of_table(table: Any) -> dict[str, Any]:
    """Return the rows of a DataFrame by the values of its column `split`.

    Raises:
        DataError: there is no such column, or it has another value than SPLITS, or no row for
            training or testing.
    """
    if SPLIT not in list(getattr(table, "columns", ())):
        raise DataError(
            f"data is one table without a column {SPLIT}; add it, with the values "
            f"{', '.join(SPLITS)}, or give two tables: data=(train, test)"
        )
    values = np.asarray(table[SPLIT]).astype(object)
    if unknown := sorted({str(value) for value in values if value not in SPLITS}):
        raise DataError(
            f"the column {SPLIT} has {unknown[0]!r}; its values are {', '.join(SPLITS)}"
        )
    found = {which: _rows(table, which, values) for which in SPLITS if (values == which).any()}
    for which in ("train", "test"):
        if which not in found:
            raise DataError(f"the column {SPLIT} never has {which}; give it some rows")
    return found


def _rows(table: Any, which: str, values: npt.NDArray[Any]) -> list[tuple[Any, Any]]:
    chosen = np.flatnonzero(values == which).tolist()
    paths, labels = columns_of(which, table)
    return [(paths[i], labels[i]) for i in chosen]


def columns_of(which: str, table: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the paths and the labels of a table.

    Without a column label, the other columns are heads; a label then is a mapping from head to
    class.

    Raises:
        DataError: a DataFrame has no column of these names.
    """
    if not hasattr(table, "columns"):
        return [row[0] for row in table], [row[1] for row in table]
    names = list(table.columns)
    heads = [name for name in names if name not in (PATH, SPLIT)]
    if PATH in names and LABEL not in names and len(heads) > 1:
        columns = [list(table[name]) for name in heads]
        return list(table[PATH]), [
            dict(zip(heads, row, strict=True)) for row in zip(*columns, strict=True)
        ]
    if missing := [name for name in (PATH, LABEL) if name not in names]:
        raise DataError(
            f"the {which} table has no column {missing[0]}; it has {', '.join(map(str, names))}. "
            f"Rename one, as in table.rename(columns={{{str(names[0])!r}: {missing[0]!r}}})"
        )
    return list(table[PATH]), list(table[LABEL])


def arrays_of_table(which: str, table: Any) -> tuple[Any, Any]:
    """Read the image files of a table.

    Args:
        which: the name of the data in errors.
        table: a DataFrame with the columns path and label, or path and one column for each head;
            or a list of (path, label). Relative paths are from the current folder.

    Returns:
        images, uint8 [n, height, width, channels], and the labels. Images have 1 channel if all
        files are grey, else 3.

    Raises:
        DataError: a file cannot be read, or the files have different sizes.
    """
    paths, labels = columns_of(which, table)
    files = [_path(which, path, row) for row, path in enumerate(paths)]
    if not files:
        raise DataError(f"the {which} table has no row")
    height, width, channels = _common_shape(files)
    images = np.empty((len(files), height, width, channels), np.uint8)
    filled = 0
    for batch in read_images(files, (height, width, channels), _BATCH, _refuse):
        images[filled : filled + len(batch.files)] = batch.images
        filled += len(batch.files)
    return images, list(labels)


def _path(which: str, path: Any, row: int) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise DataError(f"the {which} table: the path at index {row} is {path!r}, not a path")
    return os.path.expanduser(path)


def _common_shape(files: Sequence[str]) -> tuple[int, int, int]:
    """Return (height, width, channels) of all files, from their headers alone."""
    first: tuple[int, int] | None = None
    is_grey = True
    with unwarned():
        for file in files:
            header = read_header(file)
            width, height = header.width, header.height
            first = first or (width, height)
            if (width, height) != first:
                raise DataError(
                    f"{file} has {width} x {height} pixels, but {files[0]} has {first[0]} x "
                    f"{first[1]}; give all images one size"
                )
            is_grey = is_grey and header.is_grey
    assert first is not None
    return first[1], first[0], 1 if is_grey else 3


def _refuse(error: DataError) -> NoReturn:
    raise error
