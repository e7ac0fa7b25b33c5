"""Predictions as text, JSON, JSON lines and CSV, piece by piece as they come."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Answers = Iterable[Mapping[str, Any]]


def as_text(answers: Answers) -> Iterator[str]:
    """`FILE: CLASS PROBABILITY, ...`, a line an image."""
    for answer in answers:
        classes = ", ".join(f"{c['class']} {c['probability']:.3f}" for c in answer["top"])
        yield f"{answer['file']}: {classes}\n"


def as_json(answers: Answers) -> Iterator[str]:
    """One JSON list."""
    start = "["
    for answer in answers:
        yield start + json.dumps(answer)
        start = ",\n "
    yield "[]\n" if start == "[" else "]\n"


def as_json_lines(answers: Answers) -> Iterator[str]:
    """A JSON object a line, an image each."""
    for answer in answers:
        yield json.dumps(answer) + "\n"


def as_csv(answers: Answers) -> Iterator[str]:
    """A line an image: file, class, probability, then class_2, probability_2 and so on."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, answer in enumerate(answers):
        if number == 0:
            places = range(2, len(answer["top"]) + 1)
            further = [f"{name}_{place}" for place in places for name in ("class", "probability")]
            writer.writerow(["file", "class", "probability", *further])
        named = [value for c in answer["top"] for value in (c["class"], c["probability"])]
        writer.writerow([answer["file"], *named])
        yield text.getvalue()
        text.seek(0)
        text.truncate()


FORMATS: dict[str, Callable[[Answers], Iterator[str]]] = {
    "text": as_text,
    "json": as_json,
    "jsonl": as_json_lines,
    "csv": as_csv,
}
