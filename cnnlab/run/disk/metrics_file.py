"""metrics.jsonl: one line for each set of figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import read_text, write_atomically

METRICS_FILE = "metrics.jsonl"
SPLITS = ("train", "val")
_MAX_BYTES = 1_000_000_000  # the largest file that is read; a line has about 200 bytes


def read_metrics(save_dir: Path, last_step: int | None = None) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl up to a step.

    An incomplete last line, which a kill may leave, is ignored.

    Args:
        save_dir: the run directory.
        last_step: the step; default: all lines.

    Raises:
        CnnlabError: a line is damaged; names it.
    """
    path = save_dir / METRICS_FILE
    if not path.exists():
        return []
    lines = []
    for number, text in enumerate(read_text(path, _MAX_BYTES).splitlines(keepends=True), 1):
        if not text.endswith("\n"):
            break
        try:
            line = json.loads(text)
            _check_line(line)
        except (ValueError, RecursionError) as error:
            raise CnnlabError(
                f"{path}: line {number} is damaged ({str(error)[:100]}); delete the line"
            ) from error
        if last_step is None or line["step"] <= last_step:
            lines.append(line)
    return lines


def write_metrics(save_dir: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Replace metrics.jsonl.

    Raises:
        CnnlabError: the file cannot be written.
    """
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_atomically(save_dir / METRICS_FILE, text)


def remove_evaluation(save_dir: Path, step: int) -> None:
    """Remove the evaluation of a step from metrics.jsonl, if it is there."""
    lines = read_metrics(save_dir)
    kept = [line for line in lines if (line["split"], line["step"]) != ("val", step)]
    if len(kept) < len(lines):
        write_metrics(save_dir, kept)


def _check_line(line: Any) -> None:
    """Raise ValueError if RunLog cannot have written the line."""
    if not isinstance(line, dict):
        raise ValueError("it is not a mapping")
    if type(line.get("step")) is not int or line.get("split") not in SPLITS:
        raise ValueError("it has no step or no split")
    for name, value in line.items():
        if name != "split" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{name} is not a number")
    if "accuracy" not in line:
        raise ValueError("it has no accuracy")
