"""The code blocks of Markdown pages."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.commands import ROOT

GUIDE = sorted(page for page in (ROOT / "docs" / "guide").glob("*.md") if page.name != "README.md")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line of the page at which it begins."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the blocks marked sh or python, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for match in _BLOCK.finditer(text)
        if match[1] in ("sh", "python")
    ]


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the words of each cnnlab command in sh blocks and indented lines."""
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
    """Return the lines; a line that ends in a backslash is joined to the next."""
    return [line.strip() for line in text.replace("\\\n", " ").splitlines()]
