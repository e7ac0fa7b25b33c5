"""The errors that cnnlab reports to people: one line that says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from cnnlab.base.words import MEANT, worded


class CnnlabError(Exception):
    """A failure that the message explains. Commands print the message and exit with 1.

    The message names options as flags. `str` gives it in the words of its reader: a command's flags
    or Python's arguments; see `cnnlab.base.words`.
    """

    exit_code = 1

    def __str__(self) -> str:
        return worded(super().__str__())


class UsageError(CnnlabError):
    """A wrong option or argument. Commands print the message and exit with 2."""

    exit_code = 2


class DataError(CnnlabError):
    """A data file that is missing, damaged or not what it claims to be."""


class NonFiniteError(CnnlabError):
    """A loss, weight or output that became NaN or infinite."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the hint "; did you mean X?" for an unknown name, or "" if nothing known is close.

    What the word means in the field counts first, then its letters.
    """
    word, names = str(name).lower().replace("-", "_"), {ours.lower(): ours for ours in known}
    meant = [ours for ours in MEANT.get(word, ()) if ours.partition("=")[0] in names]
    found = meant or difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {names.get(found[0], found[0])}?" if found else ""
