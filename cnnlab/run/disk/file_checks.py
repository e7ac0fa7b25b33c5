"""Whether the figures in a file are such as a run writes: the file may be damaged or edited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cnnlab.run.disk.checkpoint import MAX_STEP

_LARGEST = 3.5e38  # no float32 is larger


def check_step(values: Mapping[str, Any]) -> None:
    """Raise ValueError if there is no step, or it is no number of steps."""
    step = values.get("step")
    if type(step) is not int or not 0 <= step <= MAX_STEP:
        raise ValueError("it has no step")


def check_figures(values: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raise ValueError if one of these figures is missing or is not a finite number."""
    for name in names:
        if name not in values:
            raise ValueError(f"it has no {name}")
        value = values[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # Compared as it is: a float cannot hold an integer of 400 digits. NaN is not below either.
        if not is_number or not abs(value) <= _LARGEST:
            raise ValueError(f"{name} is not a finite number of float32")
