"""Whatever cnnlab prints goes through one file, which makes it safe."""

import ast
from pathlib import Path

import pytest

import cnnlab
from cnnlab.base import printing

PACKAGE = Path(cnnlab.__file__).parent
HOME = PACKAGE / "base/printing.py"
FORBIDDEN = ("print", "sys.stdout.write", "sys.stderr.write", "tqdm.write")


@pytest.mark.slow
def test_no_other_file_prints() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
        for call in calls:
            if ast.unparse(call.func) in FORBIDDEN and path != HOME:
                found.append(f"{path.relative_to(PACKAGE)}:{call.lineno}")
    assert found == []


def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_lines("a\x1b[2J\nb\r")
    printing.print_lines("c\u202e", to_stderr=True, end="")
    printing.print_above_bars("\nd\x07")
    printing.print_as_is("e\x1b[0m")
    out, err = capsys.readouterr()
    assert out == "a\\x1b[2J\nb\\r\ne\x1b[0m\n"
    assert err == "c\\u202e\nd\\x07\n"
