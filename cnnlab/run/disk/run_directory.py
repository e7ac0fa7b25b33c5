"""The run directory: whether it can be used, what it contains, and how a run changes it.

SAVE_DIR/
    config.yaml            the resolved options, facts about data and model, machine and versions
    model.ckpt-STEP.*      checkpoints; the file `checkpoint` names the latest
    best/                  the checkpoint of the best evaluation
    code/                  copies of the user's own functions, if the options name some
    metrics.jsonl          one line for each set of figures
    result.json            written last
"""

from __future__ import annotations

import bisect
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cnnlab.base.background import Background
from cnnlab.base.errors import UsageError
from cnnlab.base.files import free_name, write_atomically
from cnnlab.base.periods import is_due
from cnnlab.config.config import Config
from cnnlab.run.disk.checkpoint import BEST_DIR, Checkpoints
from cnnlab.run.disk.config_file import CONFIG_FILE
from cnnlab.run.disk.log_folder import remove_events
from cnnlab.run.disk.metrics_file import METRICS_FILE, has_line, read_metrics, remove_evaluation
from cnnlab.run.disk.result_file import RESULT_FILE, read_result, write_result
from cnnlab.run.disk.saver import saved_tensors
from cnnlab.run.metrics.monitored import is_better

_MAX_HELD_BYTES = 2**28  # larger sets of variables are not copied in memory while they are saved


class RunDirectory:
    """The save_dir of one run.

    Attributes:
        path: the folder.
        checkpoints: its checkpoints.
        best: the checkpoint of the best step.
        saving: the background work of the last `save`.
    """

    def __init__(self, config: Config, epoch_size: int = 0) -> None:
        """Look at the folder without changing it; training also needs the size of an epoch.

        Raises:
            UsageError: the folder cannot hold a run, or holds checkpoints of an unknown run.
        """
        self.path = Path(config.save_dir)
        self.checkpoints = Checkpoints(self.path, config.max_to_keep, config.keep_every)
        self.best = Checkpoints(self.path / BEST_DIR)
        self.saving = Background()
        self._config, self._epoch_size = config, epoch_size
        for name, folder in (("save_dir", self.path), ("log_dir", config.resolved_log_dir)):
            _check_writable(name, folder)
        holds_run = (self.path / CONFIG_FILE).exists()
        # Those of best/ alone may be left of an --overwrite that was killed.
        has_checkpoints = self.checkpoints.steps() or self.best.steps()
        if not config.overwrite and not holds_run and has_checkpoints:
            raise UsageError(
                f"{self.path} holds checkpoints but no {CONFIG_FILE}; choose another folder, such "
                f"as --save_dir={free_name(config.save_dir)}, or put {CONFIG_FILE} back"
            )

    def result(self) -> dict[str, Any] | None:
        """Return the content of result.json, or None if there is none or it will be overwritten."""
        return None if self._config.overwrite else read_result(self.path)

    def finished_result(self, total_steps: int) -> dict[str, Any] | None:
        """Return the result if the run is finished, by early stopping or at `total_steps`."""
        result = self.result()
        is_done = result and (
            result.get("finished") is True
            and (result.get("stopped_early") or result["step"] >= total_steps)
        )
        return result if is_done else None

    def latest_step(self) -> int:
        """Return the step to resume from: that of the newest undamaged checkpoint, or 0."""
        if self._config.overwrite:
            return 0
        return self.checkpoints.latest_intact() or 0

    def begin(self, first_step: int, total_steps: int, facts: str) -> None:
        """Prepare the folder for a run, and write config.yaml.

        With --overwrite, the run in the folder is deleted. If it resumes at `first_step`, later
        checkpoints are set aside, because they are damaged, and later best steps are deleted.

        Args:
            first_step: the step at which this process begins.
            total_steps: the last step of the run.
            facts: the content of config.yaml, made before anything is deleted.
        """
        if self._config.overwrite:
            # Before config.yaml, which says whose they are.
            remove_events(self._config.resolved_log_dir)
            for name in (RESULT_FILE, METRICS_FILE, CONFIG_FILE):
                (self.path / name).unlink(missing_ok=True)
            # First best/: a kill in between leaves checkpoints, which are refused without a config.
            self.best.remove_folder()
            self.checkpoints.remove_all()
        elif first_step:
            self.checkpoints.set_aside_after(first_step)  # newer but not used, so damaged
        if first_step < total_steps and not self._is_regular(first_step):
            # The evaluation at the end of a shorter run, which a run of this length does not make.
            remove_evaluation(self.path, first_step)
            self.best.remove_after(first_step - 1)
        for checkpoints in (self.checkpoints, self.best):
            checkpoints.remove_orphans()
        # A kill may have come between a best step and the first checkpoint after it.
        self.best.remove_after(first_step)
        self._prune_best(None)
        write_atomically(self.path / CONFIG_FILE, facts)
        (self.path / RESULT_FILE).unlink(missing_ok=True)

    def tensors_to_hold(self, saver: Any, graph: Any) -> list[Any]:
        """Return the tensors whose values `save` needs to write them while training continues.

        The list is empty if a second copy of the variables would take too much memory.

        Args:
            saver: a `tf.train.Saver`.
            graph: the graph that it was made for.
        """
        tensors = saved_tensors(saver, graph)
        size = sum(tensor.shape.num_elements() * tensor.dtype.size for tensor in tensors)
        return tensors if size <= _MAX_HELD_BYTES else []

    def save(
        self,
        saver: Any,
        session: Any,
        step: int,
        values: dict[Any, Any],
        total_steps: int,
        log: Callable[[], None],
    ) -> None:
        """Begin to write a checkpoint of the run.

        It is complete when `saving.wait()` returns. A run that is killed before that resumes from
        the checkpoint before this one.

        Args:
            saver: a `tf.train.Saver`.
            session: holds the variables.
            step: the checkpoint's step.
            values: the value of each of `tensors_to_hold` after that step.
            total_steps: the last step of the run.
            log: waits until the lines of metrics.jsonl up to this step are on the disk.

        Raises:
            CnnlabError: this save or the one before it failed: the disk is full or the folder
                cannot be written.
        """
        self.saving.wait()
        write = partial(self.checkpoints.write, saver, session, step, values)

        def commit() -> None:
            # First the lines: a run that resumes from this checkpoint does not write them again.
            log()
            is_last = step == total_steps
            protect = frozenset() if is_last else frozenset(self._regular_steps()[-1:])
            self.checkpoints.commit(step, protect=protect | self._kept_by_time())
            self._prune_best(None if is_last else protect)

        if values:
            self.saving.start(write, commit)
        else:
            write()
            self.saving.start(commit)

    def save_best(self, saver: Any, session: Any, step: int) -> None:
        """Save the weights of the best step.

        The previous best weights stay until the run has a checkpoint of this step or a later one. A
        killed run goes back to its latest checkpoint, and needs the best weights up to there.

        Raises:
            CnnlabError: the disk is full or the folder cannot be written.
        """
        self.saving.wait()
        self.best.save(saver, session, step)
        self._prune_best(frozenset(self._regular_steps()[-1:]))

    def rollback_step(self) -> int:
        """Return the step of the newest undamaged checkpoint that was saved on schedule, or 0.

        Checkpoints saved on a signal do not count: a stop must not change the result of a run.
        """
        for step in reversed(self._regular_steps()):
            if self.checkpoints.damage(step) is None:
                return step
        return 0

    def go_back_to(self, step: int) -> None:
        """Delete the checkpoints after a step; 0 deletes all."""
        self.checkpoints.remove_after(step)
        self.best.remove_after(step)

    def _regular_steps(self) -> list[int]:
        """Return the steps saved on schedule, ascending; none if the run makes no rollbacks."""
        if self._config.on_nan != "rollback":
            return []
        period = self._config.checkpoint_period(self._epoch_size)
        return [step for step in self.checkpoints.steps() if is_due(step, period)]

    def _kept_by_time(self) -> frozenset[int]:
        """Return the steps of the checkpoints that keep_every_hours keeps.

        They are the first one of each period but that at the start. A checkpoint's time is that of
        the last line of metrics.jsonl up to its step, so the choice is the same after a resume.
        """
        if self._config.keep_every_hours is None or self._config.max_to_keep is None:
            return frozenset()
        lines = [(n["step"], n["seconds"]) for n in read_metrics(self.path) if "seconds" in n]
        first_of: dict[float, int] = {}  # number of a period to step
        for step in self.checkpoints.steps():
            place = bisect.bisect_right(lines, (step, math.inf))
            secs = lines[place - 1][1] if place else 0.0
            first_of.setdefault(secs // (3600 * self._config.keep_every_hours), step)
        return frozenset(step for period, step in first_of.items() if period)

    def _prune_best(self, anchors: frozenset[int] | None) -> None:
        """Delete best steps, but for the newest and those that a resumed run may need.

        Args:
            anchors: steps of checkpoints, beside the latest one, to which the run may go back.
                The last best step up to each of them is kept.
        """
        best_steps = self.best.steps()
        kept = set(best_steps[-1:])
        for anchor in {*(anchors or ()), *self.checkpoints.steps()[-1:]}:
            up_to = [step for step in best_steps if step <= anchor]
            # If the end's evaluation is the best, a longer run needs the best one before it.
            kept.update(up_to[-1:], [step for step in up_to if self._is_regular(step)][-1:])
        for step in best_steps:
            if step not in kept:
                self.best.remove(step)

    def best_so_far(self, last_step: int) -> dict[str, Any] | None:
        """Return the best evaluation on the validation set up to `last_step`, or None.

        Returns:
            step, accuracy, and loss if the option monitor is "loss".
        """
        best: dict[str, Any] | None = None
        kept = ["step", "accuracy", *(["loss"] if self._config.monitor == "loss" else [])]
        for line in read_metrics(self.path, last_step):
            if line["split"] == "val" and (
                best is None or is_better(line, best, self._config.monitor)
            ):
                best = {name: line[name] for name in kept if name in line}
        return best

    def evaluations_so_far(self, last_step: int) -> list[dict[str, Any]]:
        """Return the figures of the regular evaluations up to `last_step`, for early stopping."""
        return [
            line
            for line in read_metrics(self.path, last_step)
            if line["split"] == "val" and self._is_regular(line["step"])
        ]

    def has_evaluation(self, step: int) -> bool:
        """Return whether metrics.jsonl has the evaluation after a step."""
        return has_line(self.path, "val", step)

    def _is_regular(self, step: int) -> bool:
        """Return whether a run of any length evaluates after this step."""
        return is_due(step, self._config.eval_period(self._epoch_size))

    def secs_so_far(self, last_step: int) -> float:
        """Return the seconds of training up to the last logged step that is <= `last_step`."""
        secs = 0.0
        for line in read_metrics(self.path, last_step):
            secs = line.get("seconds", secs)
        return secs

    def write_result(self, result: dict[str, Any]) -> None:
        """Write result.json, which ends the run."""
        write_result(self.path, result)


def _check_writable(option: str, folder: Path) -> None:
    """Raise UsageError if the folder cannot be made or written."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise UsageError(f"--{option}={folder}: {existing} is a file, not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"--{option}={folder}: no permission to write in {existing}")
