"""metrics.jsonl: a line for each set of figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import read_text

METRICS_FILE = "metrics.jsonl"
SPLITS = ("train", "val")
_MAX_BYTES = 1_000_000_000  # of metrics.jsonl; a line has about 200


def read_metrics(save_dir: Path, last_step: int | None = None) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl up to a step; a last line cut short by a kill is left out.

    Raises:
        CnnlabError: a line is not one of ours; names it.
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
                f"{path}: line {number} is damaged ({str(error)[:100]}); delete the line to go on"
            ) from error
        if last_step is None or line["step"] <= last_step:
            lines.append(line)
    return lines


def _check_line(line: Any) -> None:
    """Raises: ValueError: the line is not one that RunLog writes."""
    if not isinstance(line, dict):
        raise ValueError("no mapping")
    if type(line.get("step")) is not int or line.get("split") not in SPLITS:
        raise ValueError("no step and split")
    for name, value in line.items():
        if name != "split" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{name} is no number")
    if "accuracy" not in line:
        raise ValueError("no accuracy")
