"""Tables for people: on a terminal and in a pipe."""

import os
import sys

import pytest

from cnnlab.config import terminal
from cnnlab.config.terminal import render_table

COLUMNS = ("class", "images", "recall")
ROWS = (["a truck [b]", "9", "0.5000"], ["cat", "1000", "0.2500"], [], ["mean", "1009", "0.3750"])


def test_a_table_in_a_pipe() -> None:
    assert render_table(COLUMNS, ROWS).split("\n") == [
        "class        images  recall",
        "a truck [b]       9  0.5000",
        "cat            1000  0.2500",
        "",
        "mean           1009  0.3750",
    ]


def test_more_columns_on_the_left_and_no_rows() -> None:
    table = render_table(("trial", "state"), [["7", "complete"], ["10", ""]], left_columns=2)
    assert table.split("\n") == ["trial  state", "7      complete", "10"]
    assert render_table(("trial", "state"), []) == "trial  state"


def test_lines_in_a_pipe_have_any_length() -> None:
    cell = "word " * 500 + "end"
    assert render_table(("text", "n"), [[cell, "1"]]).split("\n")[1] == f"{cell}  1"


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (80, ["class        images  recall", "a truck [b]       9  0.5000"]),
        (24, ["class     images  recall", "a truck        9  0.5000", "[b]"]),
        (
            10,
            ["class  images  recall", "a           9  0.5000", "truck", "[b]"],
        ),  # numbers are whole
    ],
)
def test_texts_wrap_at_the_width_of_a_terminal(
    width: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers are never cut, even where the terminal is too narrow for them."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    size = os.terminal_size((width, 24))
    monkeypatch.setattr(terminal.shutil, "get_terminal_size", lambda: size)
    monkeypatch.setenv("TERM", "dumb")  # without bold headings
    assert render_table(COLUMNS, ROWS).split("\n")[: len(expected)] == expected
