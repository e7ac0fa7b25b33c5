"""The dimensions of a search space, and how a study stores their values.

A study stores plain values: a number, a text, True, False or None. Any other choice, such as a
list, is stored as JSON text.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from cnnlab.base.errors import UsageError

MAX_GRID_POINTS = 2000  # because all are checked before the first trial

Stored = bool | int | float | str | None


@dataclass(frozen=True)
class Dimension:
    """One option that varies, or several that vary together.

    Attributes:
        key: the key in the space.
        names: the options that it sets: a name of Config, or "model_options.NAME".
    """

    key: str
    names: tuple[str, ...]

    def samples(self) -> list[Stored]:
        """Return stored values to check; if the options accept these, they accept all."""
        raise NotImplementedError

    def grid(self) -> list[Stored]:
        """Return all stored values.

        Raises:
            UsageError: there are infinitely many, or more than MAX_GRID_POINTS.
        """
        raise NotImplementedError

    def decode(self, stored: Stored) -> tuple[Any, ...]:
        """Return the value of each of `names` for a stored value."""
        return (stored,)


@dataclass(frozen=True)
class Choices(Dimension):
    """One of several values."""

    values: tuple[Any, ...]

    def samples(self) -> list[Stored]:
        return self.stored

    def grid(self) -> list[Stored]:
        return self.stored

    @property
    def stored(self) -> list[Stored]:
        """The values in the form in which the study stores them."""
        return [_stored(value) for value in self.values]

    def decode(self, stored: Stored) -> tuple[Any, ...]:
        value = self.values[self.stored.index(stored)]
        return (value,) if len(self.names) == 1 else tuple(value)


@dataclass(frozen=True)
class Range(Dimension):
    """A number from low to high, both included.

    Attributes:
        step: the distance between two values, counted from low; None: any number in the range.
        log: whether values are drawn evenly on a logarithmic scale.
    """

    low: float
    high: float
    step: float | None
    log: bool

    @property
    def is_int(self) -> bool:
        """Whether the values are whole numbers."""
        return isinstance(self.low, int)

    def samples(self) -> list[Stored]:
        if self.step is not None:
            return [self.low, self.low + self.step, self.high]
        # At the golden section, which is hardly ever a whole number.
        middle = self.low + 0.381966 * (self.high - self.low)
        return [self.low, self.high, round(middle) if self.is_int else middle]

    def grid(self) -> list[Stored]:
        if self.log or (self.step is None and not self.is_int):
            raise UsageError(
                f"--space: {self.key} is a range without a step, so it has no grid; add a step, "
                "write a list of values, or choose --sampler=random or tpe"
            )
        step = self.step or 1
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if count > MAX_GRID_POINTS:
            raise UsageError(f"--space: {self.key} has {count:,} values, too many for a grid")
        return [self.low + number * step for number in range(count)]


def short(value: Any) -> str:
    """Format a value for people; a number has four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _stored(value: Any) -> Stored:
    return value if value is None or isinstance(value, bool | int | float | str) else _text(value)


def _text(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"--space: {str(value)[:100]} cannot be stored; use numbers, texts, lists and mappings"
        ) from error
