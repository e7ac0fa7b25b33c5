"""The search space: which options vary, and the values that they can have.

dense_units: [16, 32]                                     # choices
learning_rate: {low: 1e-4, high: 1e-1, log: true}         # a range of numbers
batch_size: {low: 32, high: 128, step: 32}                # whole numbers, because both ends are
optimizer, learning_rate: [[adam, 0.001], [sgd, 0.01]]    # options that vary together
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.words import ALIASES
from cnnlab.config.config import Config
from cnnlab.config.options import normalized
from cnnlab.config.resolve import override
from cnnlab.tune.dimensions import MAX_GRID_POINTS, Choices, Dimension, Range, Stored

_TRIED_COMBINATIONS = 64  # of the other options' values, to find one that fits a value
_RANGE_KEYS = ("low", "high", "step", "log")

Point = dict[str, Stored]
Check = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Space:
    """All options that vary.

    Attributes:
        dimensions: in the order in which the user wrote them.
    """

    dimensions: tuple[Dimension, ...]

    def named(self, point: Mapping[str, Stored]) -> dict[str, Any]:
        """Return a point for people: the short name of each option, and its value."""
        return {
            _short(name): value
            for dimension in self.dimensions
            for name, value in zip(
                dimension.names, dimension.decode(point[dimension.key]), strict=True
            )
        }

    @property
    def is_finite(self) -> bool:
        """Whether every option has a list of choices."""
        return all(isinstance(dimension, Choices) for dimension in self.dimensions)

    @property
    def grid_size(self) -> int:
        """The number of combinations of all values, valid or not.

        Raises:
            UsageError: a range has no step, or too many values.
        """
        return math.prod(len(dimension.grid()) for dimension in self.dimensions)

    def domains(self) -> dict[str, list[Any] | tuple[float, float]]:
        """Return the short name of each option, with its choices or the two ends of its range.

        The choices are in the form that TensorBoard's dashboard needs: all numbers, all texts or
        all switches.
        """
        found: dict[str, list[Any] | tuple[float, float]] = {}
        for dimension in self.dimensions:
            if isinstance(dimension, Range):
                found[_short(dimension.names[0])] = (dimension.low, dimension.high)
                continue
            rows = [dimension.decode(stored) for stored in dimension.grid()]
            for name, column in zip(dimension.names, zip(*rows, strict=True), strict=True):
                found[_short(name)] = list(dict.fromkeys(_of_one_kind(column)))
        return found

    def shown(self, point: Mapping[str, Stored]) -> dict[str, Any]:
        """Return a point in the form that TensorBoard's dashboard needs; see `domains`."""
        domains = self.domains()
        return {
            name: str(value) if isinstance(next(iter(domains[name])), str) else value
            for name, value in self.named(point).items()
        }

    def apply(self, options: Mapping[str, Any], point: Mapping[str, Stored]) -> dict[str, Any]:
        """Return the options of a run at a point.

        Args:
            options: name to value of the options that do not vary.
            point: the stored value of each dimension.
        """
        changes: dict[str, Any] = {}
        arguments = {}
        for dimension in self.dimensions:
            values = dimension.decode(point[dimension.key])
            for name, value in zip(dimension.names, values, strict=True):
                group, _, argument = name.partition(".")
                if argument:
                    arguments[argument] = value
                else:
                    changes[group] = value
        merged = override(options, normalized(Config, changes))
        return {**merged, "model_options": {**merged["model_options"], **arguments}}

    def check(self, options: Mapping[str, Any], check: Check) -> None:
        """Check that each value is valid in some combination with the other dimensions' values.

        Args:
            options: the options that do not vary.
            check: raises UsageError if the options of a run are wrong.

        Raises:
            UsageError: a value is valid in none of the combinations tried.
        """
        for dimension in self.dimensions:
            others = [other for other in self.dimensions if other is not dimension]
            for value in dimension.samples():
                combinations = itertools.product(*(other.samples() for other in others))
                problem: UsageError | None = None
                for rest in itertools.islice(combinations, _TRIED_COMBINATIONS):
                    point = dict(zip([other.key for other in others], rest, strict=True))
                    problem = self._problem(options, {**point, dimension.key: value}, check)
                    if problem is None:
                        break
                if problem is not None:
                    raise UsageError(f"--space: {dimension.key}: {problem}") from problem

    def grid(self, options: Mapping[str, Any], check: Check) -> tuple[list[Point], str]:
        """Return every valid combination; the last dimension varies fastest.

        Args:
            options: the options that do not vary.
            check: raises UsageError if the options of a run are wrong.

        Returns:
            the points, and a text that says how many combinations are left out and why; '' if none
            is.

        Raises:
            UsageError: a range has no step, or there are more than MAX_GRID_POINTS points.
        """
        count = self.grid_size
        if count > MAX_GRID_POINTS:
            raise UsageError(
                f"--space has a grid of {count:,} points, more than {MAX_GRID_POINTS:,}; choose "
                "--sampler=random or tpe"
            )
        points, left_out = [], ""
        for values in itertools.product(*(dimension.grid() for dimension in self.dimensions)):
            point = {d.key: value for d, value in zip(self.dimensions, values, strict=True)}
            problem = self._problem(options, point, check)
            if problem is None:
                points.append(point)
            else:
                left_out = left_out or str(problem)
        if left_out:
            left_out = f"{count - len(points)} of {count} combinations are left out: {left_out}"
        return points, left_out

    def _problem(
        self, options: Mapping[str, Any], point: Mapping[str, Stored], check: Check
    ) -> UsageError | None:
        try:
            check(self.apply(options, point))
        except UsageError as error:
            return error
        return None


def _short(name: str) -> str:
    return name.removeprefix("model_options.")


def _of_one_kind(values: Sequence[Any]) -> Sequence[Any]:
    """Return the values if all are numbers or all are switches; otherwise return their texts."""
    are_switches = [isinstance(value, bool) for value in values]
    are_numbers = all(isinstance(value, int | float) for value in values)
    is_one_kind = are_numbers and all(are_switches) == any(are_switches)
    return values if is_one_kind else [str(value) for value in values]


def parse_space(
    given: Mapping[Any, Any], options: Sequence[str], arguments: Sequence[str]
) -> Space:
    """Read a space.

    Args:
        given: the name of an option, or several with commas between, to a list of choices or a
            range.
        options: the names of the options of a run that can vary.
        arguments: the names of the options of the model.

    Raises:
        UsageError: a name is unknown or ambiguous, or a value is neither choices nor a range.
    """
    dimensions: list[Dimension] = []
    taken: set[str] = set()
    for key, values in given.items():
        names = tuple(_find(name.strip(), options, arguments) for name in str(key).split(","))
        for name in names:
            if name in taken:
                raise UsageError(f"--space has {name} twice")
            taken.add(name)
        dimensions.append(_dimension(str(key), names, values))
    return Space(tuple(dimensions))


def _find(name: str, options: Sequence[str], arguments: Sequence[str]) -> str:
    """Return the full name of an option, from its short or full name or an alias."""
    if name not in (*options, *arguments):
        name = ALIASES.get(name, name)
    group, _, rest = name.partition(".")
    if rest and group in ("train", "model_options"):
        known = options if group == "train" else arguments
        if rest in known:
            return rest if group == "train" else name
        raise UsageError(f"--space: unknown option {name}{nearest(rest, known)}")
    if name in options and name in arguments:
        raise UsageError(
            f"--space: {name} is an option of training and of the model; write train.{name} or "
            f"model_options.{name}"
        )
    if name in arguments:
        return f"model_options.{name}"
    if name not in options:
        hint = nearest(name, [*arguments, *options]) or "; see python -m cnnlab.train --help"
        raise UsageError(f"--space: unknown option {name}, or one that no search can vary{hint}")
    return name


def _dimension(key: str, names: tuple[str, ...], values: Any) -> Dimension:
    if isinstance(values, list):
        return _choices(key, names, values)
    if isinstance(values, dict) and len(names) == 1:
        return _range(key, names, values)
    expected = "a list of choices" + (
        ", or a range as in {low: 1e-4, high: 1e-1, log: true}" if len(names) == 1 else ""
    )
    raise UsageError(f"--space: {key}: {str(values)[:100]} is not {expected}")


def _choices(key: str, names: tuple[str, ...], values: list[Any]) -> Choices:
    if not values:
        raise UsageError(f"--space: {key} has no choices")
    for value in values:
        if len(names) > 1 and (not isinstance(value, list) or len(value) != len(names)):
            raise UsageError(
                f"--space: {key}: {str(value)[:100]} is not a list of {len(names)} values"
            )
    choices = Choices(key, names, tuple(values))
    for number, stored in enumerate(choices.stored):
        if stored in choices.stored[:number]:
            raise UsageError(f"--space: {key} has {stored} twice")
    return choices


def _range(key: str, names: tuple[str, ...], given: dict[Any, Any]) -> Range:
    where = f"--space: {key}: a range"
    for name in given:
        if name not in _RANGE_KEYS:
            raise UsageError(f"{where} may have {', '.join(_RANGE_KEYS)}, not {name}")
    for name in ("low", "high"):
        if name not in given:
            raise UsageError(f"{where} needs {name}, as in {{low: 1e-4, high: 1e-1, log: true}}")
    log, numbers = given.get("log", False), {n: v for n, v in given.items() if n != "log"}
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise UsageError(f"{where} has {name}: {number}, which is not a number")
        if not math.isfinite(number):
            raise UsageError(f"{where} has {name}: {number}, which is not finite")
    if not isinstance(log, bool):
        raise UsageError(f"{where} has log: {log}, which is not true or false")
    low, high, step = numbers["low"], numbers["high"], numbers.get("step")
    if low >= high:
        raise UsageError(f"{where} has low: {low}, which is not below high: {high}")
    if log and (low <= 0 or step is not None):
        raise UsageError(f"{where} with log: true needs low > 0, and may have no step")
    if step is not None and not 0 < step <= high - low:
        raise UsageError(
            f"{where} has step: {step}, which is not above 0 and at most high - low = {high - low}"
        )
    if not all(isinstance(number, int) for number in numbers.values()):
        low, high, step = float(low), float(high), None if step is None else float(step)
    if step is not None:
        high = low + math.floor((high - low) / step + 1e-9) * step  # the last value of the range
    return Range(key, names, low, high, step, log)
