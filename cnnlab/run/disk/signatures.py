"""Which variables there are, of what type and shape, and how two sets of them differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_MAX_NAMED = 8  # variables in one message


class Signature(NamedTuple):
    """Type and shape of a variable."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


Signatures = Mapping[str, Signature]


def signatures_of(variables: Iterable[Any]) -> dict[str, Signature]:
    """Name to signature of variables of a graph."""
    return {
        variable.op.name: Signature(variable.dtype.base_dtype.name, tuple(variable.shape.as_list()))
        for variable in variables
    }


def difference(saved: Signatures, ours: Signatures, *, exactly: bool) -> str:
    """What variables differ between a checkpoint and a graph, or '' if none do.

    Args:
        saved: of the checkpoint.
        ours: of the graph.
        exactly: whether what the checkpoint alone has counts as well.
    """
    missing = [name for name in ours if name not in saved]
    superfluous = sorted(name for name in saved if name not in ours)
    other = [
        f"{name} is {saved[name]} there, {wanted} here"
        for name, wanted in ours.items()
        if name in saved and saved[name] != wanted
    ]
    if not exactly:
        if not missing and not other:
            return ""
        superfluous = [name for name in superfluous if not belongs_to(name, ours)]
    parts = [
        listed(other, ""),
        listed(missing, "it lacks "),
        listed(superfluous, "it has, and this model has not: "),
    ]
    return "; ".join(part for part in parts if part)


def belongs_to(name: str, names: Iterable[str]) -> bool:
    """Whether a variable is an optimizer's: it is named after the one that it belongs to."""
    return name.rpartition("/")[0] in names


def listed(items: list[str], what: str) -> str:
    """The first few of the items in one phrase, or '' if there are none."""
    more = f" and {len(items) - _MAX_NAMED} more" if len(items) > _MAX_NAMED else ""
    return f"{what}{', '.join(items[:_MAX_NAMED])}{more}" if items else ""
