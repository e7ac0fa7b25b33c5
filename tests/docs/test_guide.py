"""The commands and programs of the documentation work as written."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cnnlab.config import cli, options
from cnnlab.config import commands as console
from tests.commands import ROOT
from tests.docs.pages import GUIDE, blocks, commands

# Words that stand for a value in a page.
PLACEHOLDERS = ("RECIPE", "N", "NAME", "DIR", "FILE", "VALUE")


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: f"{page.parent.name}/{page.name}",
)
def test_commands_have_options_that_are_there(page: Path, monkeypatch: Any) -> None:
    seen: dict[str, Any] = {}

    def catch(_command: Any, options_class: Any, words: Any, **_rest: Any) -> None:
        seen.update(options_class=options_class, words=words)
        raise SystemExit

    monkeypatch.setattr(cli, "run", catch)
    for name, words in commands(page):
        assert name in (*console.COMMANDS, *console.CATALOGUES), name
        with pytest.raises(SystemExit):
            console.load_main(name)(words)
        if any(word.startswith("--help") for word in words):
            continue
        _, flags = cli.collect(seen["words"], seen["options_class"])
        options.check_names(flags, seen["options_class"], "the command line")
        for flag, text in options.full_names(flags, seen["options_class"]).items():
            if text not in PLACEHOLDERS:
                options.parse_text(flag, text, seen["options_class"])


@pytest.mark.slow
@pytest.mark.parametrize("page", [ROOT / "README.md", *GUIDE], ids=lambda page: page.stem)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    programs = tmp_path / ".programs"
    programs.mkdir()
    for name, words in {
        "python": "",
        "cnnlab": ' -c "from cnnlab.config.commands import main; main()"',
    }.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        program.chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    found = blocks(page)
    assert found, "a page of the guide without an example"
    for block in found:
        words = (
            ["bash", "-e", "-o", "pipefail", "-c", block.text]
            if block.language == "sh"
            else [sys.executable, "-c", block.text]
        )
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{page.name}, line {block.line}:\n{done.stderr[-3000:]}"
