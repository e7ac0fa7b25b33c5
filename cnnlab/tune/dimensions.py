"""What a search varies on its own, and how a study stores its values.

A study stores plain values: a number, a text, True, False or None. A choice that is more than that,
as a list, is stored as its JSON text.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from cnnlab.base.errors import UsageError

MAX_GRID_POINTS = 2000  # each is checked before the first begins

Stored = bool | int | float | str | None


@dataclass(frozen=True)
class Dimension:
    """What varies on its own: one option, or several that go together.

    Attributes:
        key: as the space names it.
        names: the options it sets: a name of Config, or "model_options.NAME".
    """

    key: str
    names: tuple[str, ...]

    def samples(self) -> list[Stored]:
        """Stored values that show whether the options take all of them."""
        raise NotImplementedError

    def grid(self) -> list[Stored]:
        """All stored values.

        Raises:
            UsageError: there is no end to them.
        """
        raise NotImplementedError

    def decode(self, stored: Stored) -> tuple[Any, ...]:
        """The value of each of `names`."""
        return (stored,)


@dataclass(frozen=True)
class Choices(Dimension):
    """One of some values."""

    values: tuple[Any, ...]

    def samples(self) -> list[Stored]:
        return self.stored

    def grid(self) -> list[Stored]:
        return self.stored

    @property
    def stored(self) -> list[Stored]:
        """How the study stores the values."""
        return [_stored(value) for value in self.values]

    def decode(self, stored: Stored) -> tuple[Any, ...]:
        value = self.values[self.stored.index(stored)]
        return (value,) if len(self.names) == 1 else tuple(value)


@dataclass(frozen=True)
class Range(Dimension):
    """A number from low to high, both included.

    Attributes:
        step: distance of the values from low on to high; None for all of them.
        log: whether small and large are drawn alike, by their logarithm.
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
        middle = self.low + 0.381966 * (self.high - self.low)  # a fraction, unless a whole number
        return [self.low, self.high, round(middle) if self.is_int else middle]

    def grid(self) -> list[Stored]:
        if self.log or (self.step is None and not self.is_int):
            raise UsageError(
                f"--space: {self.key} is a range without a step, of which no grid can be made; "
                "give a step or a list of values, or take --sampler=random or tpe"
            )
        step = self.step or 1
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if count > MAX_GRID_POINTS:
            raise UsageError(f"--space: {self.key} has {count:,} values, too many for a grid")
        return [self.low + number * step for number in range(count)]


def short(value: Any) -> str:
    """A value for people: a number with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _stored(value: Any) -> Stored:
    return value if value is None or isinstance(value, bool | int | float | str) else _text(value)


def _text(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--space: {str(value)[:100]} is no choice of plain values") from error
