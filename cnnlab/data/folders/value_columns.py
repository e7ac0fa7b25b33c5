"""The columns value or value_NAME of a table of pictures, which have numbers to predict."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cnnlab.base.errors import DataError

_VALUE: Final = re.compile(r"value(_(?P<name>.+))?", re.IGNORECASE)
_LARGEST: Final = float(np.finfo(np.float32).max)


def value_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that have values; none if a column label or labels has classes."""
    if "label" in columns or "labels" in columns:
        return ()
    return tuple(column for column in columns if _VALUE.fullmatch(column))


def value_names(file: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the name of each value: NAME of value_NAME.

    Raises:
        DataError: two columns have one name.
    """
    names = [match["name"] or "value" for column in columns if (match := _VALUE.fullmatch(column))]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{file} has two columns for the value {twice}; rename one")
    return tuple(names)


def numbers_of(where: str, row: Mapping[str, str], columns: Sequence[str]) -> tuple[float, ...]:
    """Return the values of a line.

    Args:
        where: names the line in errors.
        row: name of a column to cell.
        columns: those that have values.

    Raises:
        DataError: a cell is empty, no finite number, or too large for float32.
    """
    return tuple(_number(where, column, row.get(column, "")) for column in columns)


def _number(where: str, column: str, cell: str) -> float:
    if not cell:
        raise DataError(f"{where} has no {column}; add it or remove the line")
    number = as_number(cell)
    if number is None:
        raise DataError(
            f"{where} has the {column} {cell}, which is no finite number; write it as in 23.5, or, "
            f"if the column has classes, call it label, or name it in --heads"
        )
    if abs(number) > _LARGEST:
        raise DataError(
            f"{where} has the {column} {cell}, which is too large for float32; divide all values "
            "by a constant"
        )
    return number


def hint_of_number(label: str) -> str:
    """Return a hint for an error about a class whose name is a number; else ""."""
    if as_number(label) is None:
        return ""
    return "; if the labels are numbers to predict, give them in the column value of a table"


def as_number(text: str) -> float | None:
    """Return the finite number that a text is; None: it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
