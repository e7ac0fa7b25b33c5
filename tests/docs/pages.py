"""The code blocks of Markdown pages."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.commands import ROOT

GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: what it is written in, its text, and the line of the page it begins at."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The blocks marked sh or python, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for match in _BLOCK.finditer(text)
        if match[1] in ("sh", "python")
    ]


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Each cnnlab command of the page's sh blocks and indented lines: its name and words."""
    lines = [
        line for block in blocks(page) if block.language == "sh" for line in _lines(block.text)
    ]
    indented = re.findall(r"^ {4}(\S.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    for line in [*lines, *indented]:
        start = re.match(r"(?:python -m cnnlab\.|cnnlab )([a-z]+) ?", line)
        if start:
            words = shlex.split(line[start.end() :], comments=True)
            ends = [i for i, word in enumerate(words) if word in ("|", ">", "2>", "&&", "||", ";")]
            yield start[1], words[: ends[0]] if ends else words


def _lines(text: str) -> list[str]:
    """The lines, those that end in a backslash joined to the next."""
    return [line.strip() for line in text.replace("\\\n", " ").splitlines()]
