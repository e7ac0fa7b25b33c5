"""Tables for people: at a terminal's own width, or with lines of any length in a pipe or file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence

from cnnlab.base.safe_text import for_terminal

_NO_LIMIT = 1_000_000  # characters of a line


def render_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, left_columns: int = 1
) -> str:
    """Render a table to print on stdout.

    On a terminal, texts wrap where the table is wider than the terminal. Numbers are never cut: if
    they alone are too wide, the lines are longer. In a pipe or file, nothing wraps.

    Args:
        columns: the headings.
        rows: for each row the text of each cell; an empty row gives an empty line.
        left_columns: how many of the first columns are texts, aligned on the left. The others are
            numbers, aligned on the right.

    Returns:
        the lines of the table, without a newline after the last.
    """
    from rich.console import Console  # here, so that only commands with a table load it
    from rich.table import Table

    is_terminal = sys.stdout.isatty()
    # Without markup and emoji, because a class may be called "[b]" or ":dog:".
    console = Console(
        force_terminal=is_terminal, width=_NO_LIMIT, markup=False, emoji=False, highlight=False
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(columns):
        if number < left_columns:
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(for_terminal, row))
    width = _NO_LIMIT
    if is_terminal:
        width = max(shutil.get_terminal_size().columns, console.measure(table).minimum)
    with console.capture() as capture:  # rich itself would exit with 1 on a closed pipe
        console.print(table, width=width)
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))
