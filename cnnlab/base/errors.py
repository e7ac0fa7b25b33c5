"""The errors that cnnlab reports to people: one line, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CnnlabError(Exception):
    """Something failed in a way the message explains; commands print it and exit 1."""

    exit_code = 1


class UsageError(CnnlabError):
    """An option or argument is wrong; commands print the message and exit 2."""

    exit_code = 2


class DataError(CnnlabError):
    """A data file is missing, damaged or not what it claims to be."""


class NonFiniteError(CnnlabError):
    """The loss, a weight or an output became NaN or infinite."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the hint "; did you mean X?" for a mistyped name, or "" when no name is near."""
    matches = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]}?" if matches else ""
