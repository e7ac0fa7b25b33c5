"""Make texts from outside safe: file names, class names, variable names, a server's reason."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet computes such a cell


def for_terminal(text: str) -> str:
    r"""Return the text as one line that a terminal prints and does not obey.

    Characters that move the cursor, change colours or the direction of writing, or start a line
    become escapes as in Python: ESC is \x1b.
    """
    if text.isprintable():
        return text
    return "".join(c if _is_visible(c) else c.encode("unicode_escape").decode() for c in text)


def lines_for_terminal(text: str) -> str:
    """Return a text of several lines, each as `for_terminal` returns it."""
    return "\n".join(map(for_terminal, text.split("\n")))


def for_csv(cell: Any) -> Any:
    """Return the cell of a CSV file; a text that a spreadsheet would compute gets a ' before it."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA_STARTS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _is_visible(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # a space
