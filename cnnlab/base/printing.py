"""The only file that prints. Texts from outside become safe on their way to the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from cnnlab.base.safe_text import lines_for_terminal

_is_quiet = False


@contextmanager
def notes_silenced(is_silent: bool) -> Iterator[None]:
    """Print nothing on stderr inside the block, except errors; is_silent: False changes nothing."""
    global _is_quiet
    before, _is_quiet = _is_quiet, _is_quiet or is_silent
    try:
        yield
    finally:
        _is_quiet = before


def is_quiet() -> bool:
    """Return whether notes and progress are silenced."""
    return _is_quiet


def print_error(line: str) -> None:
    """Print a line on stderr, even where notes are silenced."""
    print(lines_for_terminal(line), file=sys.stderr, flush=True)


def print_lines(text: str, *, to_stderr: bool = False, end: str = "\n") -> None:
    """Print a text; characters that a terminal would obey become escapes, except newlines."""
    print_as_is(lines_for_terminal(text), to_stderr=to_stderr, end=end)


def print_as_is(text: str, *, to_stderr: bool = False, end: str = "\n") -> None:
    """Print a text that is safe already: a table, JSON, the program's own words.

    What goes to stderr is a note; see `notes_silenced`.
    """
    if to_stderr and _is_quiet:
        return
    print(text, end=end, file=_stream(to_stderr), flush=True)


def print_above_bars(text: str) -> None:
    """Print lines on stderr, above the progress bars of tqdm if there are any."""
    if _is_quiet:
        return
    from tqdm import tqdm

    tqdm.write(lines_for_terminal(text), file=_stream(True))


def _stream(is_stderr: bool) -> TextIO:
    return sys.stderr if is_stderr else sys.stdout
