"""The errors that cnnlab reports to people: one line that says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CnnlabError(Exception):
    """A failure that the message explains. Commands print the message and exit with 1."""

    exit_code = 1


class UsageError(CnnlabError):
    """A wrong option or argument. Commands print the message and exit with 2."""

    exit_code = 2


class DataError(CnnlabError):
    """A data file that is missing, damaged or not what it claims to be."""


class NonFiniteError(CnnlabError):
    """A loss, weight or output that became NaN or infinite."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the hint "; did you mean X?" for a mistyped name, or "" if no known name is close."""
    matches = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]}?" if matches else ""
