"""Texts from outside cannot give orders to a terminal or a spreadsheet."""

from typing import Any

import pytest

from cnnlab.base.safe_text import for_csv, for_terminal, lines_for_terminal
from cnnlab.config import cli
from cnnlab.config.terminal import render_table
from cnnlab.predict.rendering import as_csv, as_text
from cnnlab.run.control import Control

EVIL = "a\x1b[2J\nok: 3\u202e"
SAFE = r"a\x1b[2J\nok: 3\u202e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Bär 学习 \u3000x", "Bär 学习 \u3000x"), (EVIL, SAFE), ("\x9b\x7f\r\t", r"\x9b\x7f\r\t")],
)
def test_for_terminal(text: str, expected: str) -> None:
    assert for_terminal(text) == expected


def test_lines_stay_lines() -> None:
    assert lines_for_terminal("a\nb\x1b") == "a\nb\\x1b"


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "\t=1", "-"])
def test_a_formula_becomes_a_text(text: str) -> None:
    assert for_csv(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["cat", "-1", "-1e-3", "", "a=b", 3, -0.5, None])
def test_other_cells_stay(cell: Any) -> None:
    assert for_csv(cell) == cell


def test_everything_that_prints_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    cli.complain(f"cannot read {EVIL}")
    cli.say(EVIL)
    Control().say(EVIL)
    print(render_table(["class", "n"], [[EVIL, "1"]]))
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert len(printed.err.splitlines()[0].split("ok: 3")) == 2  # an error stays one line
    assert SAFE in printed.out


def test_predictions_are_safe() -> None:
    answers = [{"file": EVIL, "top": [{"class": "=HYPERLINK()", "probability": 0.5}]}]
    assert list(as_text(answers)) == [f"{SAFE}: =HYPERLINK() 0.500\n"]
    answers[0]["file"] = "=a.png"
    assert "".join(as_csv(answers)).splitlines()[1] == "'=a.png,'=HYPERLINK(),0.5"
