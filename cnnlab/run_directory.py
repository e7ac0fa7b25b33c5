"""The run directory as a whole: whether it can be used, what stands in it, how a run ends there.

SAVE_DIR/
    config.yaml            every option as resolved, and the versions it ran with
    model.ckpt-STEP.*      checkpoints; `checkpoint` points at the latest
    best/                  the best by validation accuracy
    metrics.jsonl          a line for each set of figures
    result.json            written last
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from cnnlab.checkpoint import BEST_DIR, Checkpoints
from cnnlab.config import Config
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files import write_atomically
from cnnlab.monitors import is_better
from cnnlab.resolve import CONFIG_FILE, save_config
from cnnlab.summaries import METRICS_FILE, read_metrics

RESULT_FILE = "result.json"


class RunDirectory:
    """The save_dir of one run.

    Attributes:
        path: the folder.
        checkpoints: its checkpoints.
        best: the best step's checkpoint.
    """

    def __init__(self, config: Config) -> None:
        """Look at the folder without changing it.

        Raises:
            UsageError: the folder cannot hold a run, or holds checkpoints of an unknown one.
        """
        self.path = Path(config.save_dir)
        self.checkpoints = Checkpoints(self.path, config.max_to_keep)
        self.best = Checkpoints(self.path / BEST_DIR, 1)
        self._config = config
        for name, folder in (("save_dir", self.path), ("log_dir", config.resolved_log_dir)):
            _check_writable(name, folder)
        holds_run = (self.path / CONFIG_FILE).exists()
        if not config.overwrite and not holds_run and self.checkpoints.steps():
            raise UsageError(
                f"{self.path} holds checkpoints but no {CONFIG_FILE}; choose another --save_dir, "
                "or --overwrite to delete them"
            )

    def result(self) -> dict[str, Any] | None:
        """What result.json says, or None if there is none or the run starts anew."""
        path = self.path / RESULT_FILE
        if self._config.overwrite or not path.exists():
            return None
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise CnnlabError(f"{path} is damaged ({error}); delete it to go on") from error
        return result if isinstance(result, dict) else None

    def finished_result(self, total_steps: int) -> dict[str, Any] | None:
        """The result if the run is finished, by early stopping or because no more steps are asked
        for."""
        result = self.result()
        is_done = result and (
            result.get("finished")
            and (result.get("stopped_early") or result.get("step", 0) >= total_steps)
        )
        return result if is_done else None

    def latest_step(self) -> int:
        """The step to go on from: the newest intact checkpoint's, or 0."""
        if self._config.overwrite:
            return 0
        return self.checkpoints.latest_intact() or 0

    def begin(self) -> None:
        """Make the folder, or clear away the run that is to be overwritten, and save the
        options."""
        self.path.mkdir(parents=True, exist_ok=True)
        if self._config.overwrite:
            for name in (RESULT_FILE, METRICS_FILE, CONFIG_FILE):
                (self.path / name).unlink(missing_ok=True)
            self.checkpoints.remove_all()
            shutil.rmtree(self.path / BEST_DIR, ignore_errors=True)
        save_config(self._config, self.path, versions())
        (self.path / RESULT_FILE).unlink(missing_ok=True)

    def best_so_far(self, last_step: int) -> dict[str, Any] | None:
        """Step, accuracy and, where it is monitored, loss of the best validation up to
        `last_step`; None before the first."""
        best: dict[str, Any] | None = None
        kept = ["step", "accuracy", *(["loss"] if self._config.monitor == "loss" else [])]
        for line in read_metrics(self.path, last_step):
            if line["split"] == "val" and (
                best is None or is_better(line, best, self._config.monitor)
            ):
                best = {name: line[name] for name in kept}
        return best

    def evaluations_so_far(self, last_step: int) -> list[dict[str, Any]]:
        """The figures of each validation up to `last_step` that early stopping counts."""
        return [
            line
            for line in read_metrics(self.path, last_step)
            if line["split"] == "val" and line["step"] % self._config.eval_steps == 0
        ]

    def secs_so_far(self, last_step: int) -> float:
        """Seconds of training before `last_step`, as far as they were written down."""
        secs = [line["seconds"] for line in read_metrics(self.path, last_step) if "seconds" in line]
        return secs[-1] if secs else 0.0

    def write_result(self, result: dict[str, Any]) -> None:
        """Write result.json: the last thing a run does."""
        write_atomically(self.path / RESULT_FILE, json.dumps(result, indent=2) + "\n")


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    names = ("cnnlab", "tensorflow", "tf-keras", "numpy")
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # a checkout on sys.path
            found[name] = "not installed"
    return {"python": platform.python_version(), **found}


def _check_writable(option: str, folder: Path) -> None:
    """Refuse a folder that cannot be made or written, before any work is done for it."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise UsageError(f"--{option}={folder}: {existing} is a file, not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"--{option}={folder}: no permission to write in {existing}")
