"""References: the names that options have for the user's own functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pydantic

from cnnlab.base.own_functions import is_reference

# FILE.py:NAME or PACKAGE.MODULE:NAME. `title` is what --help writes for it.
Reference = Annotated[str, pydantic.Field(pattern="[^:]:+[^:]", title="FILE.py:NAME")]


def references_in(entries: list[Any]) -> Iterator[tuple[int, str]]:
    """Yield the position and the name of each of the user's functions in a list of augmentations.

    Args:
        entries: NAME or {NAME: {argument: value}}. Wrong entries are ignored.
    """
    for position, entry in enumerate(entries):
        name = next(iter(entry), "") if isinstance(entry, dict) else entry
        if is_reference(name):
            yield position, name
