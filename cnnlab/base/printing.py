"""The only file that prints. Texts from outside become safe on their way to the terminal."""

from __future__ import annotations

import sys
from typing import TextIO

from cnnlab.base.safe_text import lines_for_terminal


def print_lines(text: str, *, to_stderr: bool = False, end: str = "\n") -> None:
    """Print a text; characters that a terminal would obey become escapes, except newlines."""
    print_as_is(lines_for_terminal(text), to_stderr=to_stderr, end=end)


def print_as_is(text: str, *, to_stderr: bool = False, end: str = "\n") -> None:
    """Print a text that is safe already: a table, JSON, the program's own words."""
    print(text, end=end, file=_stream(to_stderr), flush=True)


def print_above_bars(text: str) -> None:
    """Print lines on stderr, above the progress bars of tqdm if there are any."""
    from tqdm import tqdm

    tqdm.write(lines_for_terminal(text), file=_stream(True))


def _stream(is_stderr: bool) -> TextIO:
    return sys.stderr if is_stderr else sys.stdout
