"""metrics.jsonl: one line for each set of figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import open_regular, replacing
from cnnlab.run.disk.file_checks import check_figures, check_step

METRICS_FILE = "metrics.jsonl"
SPLITS = ("train", "val")
OWN = "log"  # the split of figures that the user's hooks log
_MAX_LINE_BYTES = 100_000  # a line has about 200 bytes
_FIGURES = ("loss", "learning_rate", "images_per_sec")


def read_metrics(save_dir: Path, last_step: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the lines of metrics.jsonl up to a step, one at a time, because the file may be large.

    An incomplete last line, which a kill may leave, is ignored.

    Args:
        save_dir: the run directory.
        last_step: the step; default: all lines.

    Raises:
        CnnlabError: a line is damaged; names it.
    """
    path = save_dir / METRICS_FILE
    if not path.exists():
        return
    with open_regular(path) as file:
        number = 0
        while text := file.readline(_MAX_LINE_BYTES):
            number += 1
            if not text.endswith(b"\n") and len(text) < _MAX_LINE_BYTES:
                return
            try:
                line = json.loads(text)
                check_line(line)
            except (ValueError, RecursionError) as error:
                raise CnnlabError(
                    f"{path}: line {number} is damaged ({str(error)[:100]}); delete the line"
                ) from error
            if last_step is None or line["step"] <= last_step:
                yield line


def write_metrics(save_dir: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Replace metrics.jsonl.

    Args:
        save_dir: the run directory.
        lines: may come from `read_metrics` of the same file.

    Raises:
        CnnlabError: the file cannot be written.
    """
    with replacing(save_dir / METRICS_FILE) as file:
        for line in lines:
            file.write(json.dumps(line).encode() + b"\n")


def remove_evaluation(save_dir: Path, step: int) -> None:
    """Remove the evaluation of a step from metrics.jsonl, if it is there."""
    if has_line(save_dir, "val", step):
        lines = read_metrics(save_dir)
        write_metrics(save_dir, (n for n in lines if (n["split"], n["step"]) != ("val", step)))


def has_line(save_dir: Path, split: str, step: int) -> bool:
    """Return whether metrics.jsonl has a line of this split and step."""
    lines = read_metrics(save_dir)
    return any((line["split"], line["step"]) == (split, step) for line in lines)


def check_line(line: Any) -> None:
    """Raise ValueError if RunLog cannot have written the line."""
    if not isinstance(line, dict):
        raise ValueError("it is not a mapping")
    if line.get("split") not in (*SPLITS, OWN):
        raise ValueError("it has no split")
    check_step(line)
    if line["split"] == OWN:
        check_figures(line, [name for name in line if name != "split"])
        return
    is_of_values = line["split"] == "train" or "mse" in line
    check_figures(line, _FIGURES if is_of_values else ("accuracy", *_FIGURES))
    check_figures(line, [name for name in line if name not in (*_FIGURES, "split")])
