"""result.json: the result of a run. It is written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import read_text, write_atomically
from cnnlab.run.disk.file_checks import check_figures, check_step

RESULT_FILE = "result.json"
_MAX_BYTES = 10_000_000


def write_result(save_dir: Path, result: Mapping[str, Any]) -> None:
    """Write result.json.

    Raises:
        CnnlabError: the file cannot be written.
    """
    write_atomically(save_dir / RESULT_FILE, json.dumps(result, indent=2) + "\n")


def read_result(save_dir: Path) -> dict[str, Any] | None:
    """Return the content of result.json, or None if there is no such file.

    Raises:
        CnnlabError: the file is damaged.
    """
    path = save_dir / RESULT_FILE
    if not path.exists():
        return None
    try:
        result = json.loads(read_text(path, _MAX_BYTES))
        _check_result(result)
    except (ValueError, RecursionError, CnnlabError) as error:
        problem = str(error)[:200]
        raise CnnlabError(f"{path} is damaged ({problem}); delete it to continue") from error
    return dict(result)


def _check_result(result: Any) -> None:
    """Raise ValueError if `Train.train` cannot have returned this."""
    if not isinstance(result, dict):
        raise ValueError("it is not a mapping")
    check_step(result)
    if type(result.get("finished")) is not bool:
        raise ValueError("it does not say whether the run is finished")
    check_figures(result, ["seconds"])
    if result["finished"]:
        check_figures(result, _figures_of(result))
    if (best := result.get("best")) is not None:
        if not isinstance(best, dict):
            raise ValueError("best is not a mapping")
        check_step(best)
        check_figures(best, ["loss" if "loss" in best else "accuracy"])


def _figures_of(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the figures of a finished run; which ones depends on the kind of its labels."""
    if "mse" in result:
        return ("mse", "mae", "loss", "n")
    return ("accuracy", "exact_match" if "exact_match" in result else "top5_accuracy", "loss", "n")
