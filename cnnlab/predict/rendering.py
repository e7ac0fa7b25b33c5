"""The formats of the predictions: text, JSON, JSON lines, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cnnlab.base.safe_text import for_csv, for_terminal
from cnnlab.run.answers import in_columns, in_text

Answers = Iterable[Mapping[str, Any]]


def as_text(answers: Answers) -> Iterator[str]:
    """Yield `FILE: CLASS PROBABILITY, ...`, one line per image."""
    for answer in answers:
        yield for_terminal(f"{answer['file']}: {in_text(answer)}") + "\n"


def as_json(answers: Answers) -> Iterator[str]:
    """Yield one JSON list, in pieces."""
    start = "["
    for answer in answers:
        yield start + json.dumps(answer)
        start = ",\n "
    yield "[]\n" if start == "[" else "]\n"


def as_json_lines(answers: Answers) -> Iterator[str]:
    """Yield a JSON object per image, each on one line."""
    for answer in answers:
        yield json.dumps(answer) + "\n"


def as_csv(answers: Answers) -> Iterator[str]:
    """Yield a heading, then one line per image: file, class, probability, class_2, ...

    With several labels an image or real values: file, and a column for each.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, answer in enumerate(answers):
        headings, cells = zip(*in_columns(answer), strict=True)
        if number == 0:
            writer.writerow(map(for_csv, headings))
        writer.writerow(map(for_csv, cells))
        yield text.getvalue()
        text.seek(0)
        text.truncate()


FORMATS: dict[str, Callable[[Answers], Iterator[str]]] = {
    "text": as_text,
    "json": as_json,
    "jsonl": as_json_lines,
    "csv": as_csv,
}
