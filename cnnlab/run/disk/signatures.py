"""Signatures: the type and shape of each variable, and how two sets of them differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_MAX_NAMED = 8  # variables that one message names


class Signature(NamedTuple):
    """Type and shape of a variable."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


Signatures = Mapping[str, Signature]


def signatures_of(variables: Iterable[Any]) -> dict[str, Signature]:
    """Return the signatures of a graph's variables, by name."""
    return {
        variable.op.name: Signature(variable.dtype.base_dtype.name, tuple(variable.shape.as_list()))
        for variable in variables
    }


def difference(saved: Signatures, ours: Signatures, *, exactly: bool) -> str:
    """Return how a checkpoint's variables differ from a graph's, or '' if they do not.

    Args:
        saved: signatures of the checkpoint.
        ours: signatures of the graph.
        exactly: whether a variable that only the checkpoint has is a difference.
    """
    missing = [name for name in ours if name not in saved]
    superfluous = sorted(name for name in saved if name not in ours)
    other = [
        f"{name} is {saved[name]} there, {expected} here"
        for name, expected in ours.items()
        if name in saved and saved[name] != expected
    ]
    if not exactly:
        if not missing and not other:
            return ""
        superfluous = [name for name in superfluous if not belongs_to(name, ours)]
    parts = [
        listed(other, ""),
        listed(missing, "it lacks "),
        listed(superfluous, "this model lacks "),
    ]
    return "; ".join(part for part in parts if part)


def belongs_to(name: str, names: Iterable[str]) -> bool:
    """Return whether a variable is an optimizer's state, which is named after its variable."""
    return name.rpartition("/")[0] in names


def listed(items: list[str], what: str) -> str:
    """Return `what` and the first items in one phrase, or '' if there are no items."""
    more = f" and {len(items) - _MAX_NAMED} more" if len(items) > _MAX_NAMED else ""
    return f"{what}{', '.join(items[:_MAX_NAMED])}{more}" if items else ""
