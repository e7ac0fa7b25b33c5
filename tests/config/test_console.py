"""The console script: `cnnlab NAME ...`."""

import sys
from pathlib import Path

import pytest

from cnnlab.base.version import __version__
from cnnlab.config import commands as console
from tests import commands


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "usage: cnnlab COMMAND"),
        (["--help"], 0, "usage: cnnlab COMMAND"),
        (["--version"], 0, f"cnnlab {__version__}\n"),
        (["trian"], 2, "error: unknown command trian; did you mean train?"),
        (["q"], 2, "error: unknown command q; known: train, launch, evaluate"),
        (["train", "--help"], 0, "usage: python -m cnnlab.train"),
        (["data", "--help"], 0, "usage: python -m cnnlab.data"),
        (["models", "--help"], 0, "usage: cnnlab models"),
        (["predict", "--top=0", "a.png"], 2, "error: --top=0 is not valid"),
    ],
)
def test_the_console_script(
    words: list[str],
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["cnnlab", *words])
    with pytest.raises(SystemExit) as end:
        console.main()
    assert end.value.code == code
    out, err = capsys.readouterr()
    assert (err if text.startswith("error") else out).startswith(text)


def test_help_has_one_line_for_each_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cnnlab", "-h"])
    with pytest.raises(SystemExit):
        console.main()
    lines = capsys.readouterr().out.splitlines()
    named = [line.split()[0] for line in lines if line.startswith("  ")]
    assert named == [*console.COMMANDS, *console.CATALOGUES]
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_the_package_is_the_console_script_too_and_loads_little(tmp_path: Path) -> None:
    for words in (["--version"], ["train", "--help"], ["models"], ["recipes", "mnist_cnn"]):
        program = (
            "import runpy, sys\n"
            f"sys.argv = ['cnnlab', *{words}]\n"
            "try:\n"
            "    runpy.run_module('cnnlab', run_name='__main__')\n"
            "except SystemExit as end:\n"
            "    assert end.code == 0, end.code\n"
            "assert 'tensorflow' not in sys.modules\n"
        )
        done = commands.finish(commands.start_python("-c", program, cwd=tmp_path), tmp_path)
        assert done.code == 0, done.stderr
        assert done.stdout
        assert done.stderr == ""
    done = commands.finish(commands.start("cnnlab", "--version", cwd=tmp_path), tmp_path)
    assert done.stdout == f"cnnlab {__version__}\n"
