"""The log of a run: metrics.jsonl and TensorBoard's event files.

Each split has its own folder, LOG_DIR/train and LOG_DIR/val. Both use the same tags, so TensorBoard
draws their curves in one chart. A resumed run first removes the lines after the checkpoint that it
resumes from, so that no step appears twice.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Self

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.file_system import fsync
from cnnlab.base.files import translate_os_errors
from cnnlab.base.tf1 import tf
from cnnlab.config.training_options import TAKEN_FIGURES
from cnnlab.run.disk.metrics_file import (
    METRICS_FILE,
    OWN,
    SPLITS,
    check_line,
    has_line,
    read_metrics,
    write_metrics,
)
from cnnlab.run.tensorboard.drawn_graph import DrawnGraph
from cnnlab.run.tensorboard.events import EventWriter

NOT_DRAWN = ("seconds",)


class RunLog:
    """Writes metrics.jsonl and the event files of one run.

    As a context manager, it closes them. A failure to close does not hide an earlier error.
    """

    def __init__(self, save_dir: Path, log_dir: Path, graph: Any, first_step: int) -> None:
        """Open the files, and keep their content up to `first_step` only.

        Args:
            save_dir: the run directory.
            log_dir: the folder of the event files.
            graph: the `tf.Graph` to draw.
            first_step: the step at which this process begins.

        Raises:
            CnnlabError: a file cannot be written. All methods raise it.
        """
        self._path = save_dir / METRICS_FILE
        write_metrics(save_dir, read_metrics(save_dir, first_step))
        # What hooks have logged at the first step: they log it again if its evaluation is repeated.
        lines = read_metrics(save_dir) if first_step else iter(())
        self._logged_before = {
            name
            for line in lines
            if (line["split"], line["step"]) == (OWN, first_step)
            for name in line
        }
        self._first_step, self._step, self._logged = first_step, first_step, set[str]()
        with translate_os_errors(self._path):
            self._file = self._path.open("a", encoding="utf-8")
        self._writers = {split: EventWriter(log_dir / split) for split in SPLITS}
        for split, writer in self._writers.items():
            # Without its line, an evaluation of the first step will be made again.
            is_made = first_step and (split == "train" or self.has(split, first_step))
            writer.add_restart(first_step + 1 if is_made else first_step)
        if not first_step:  # TensorBoard warns of a second graph
            self._writers["train"].add_graph(DrawnGraph(graph).definition)
        self.flush()

    def write(self, split: str, step: int, **figures: float) -> None:
        """Add one line to metrics.jsonl and one point to each curve.

        The line is written last, because it means that all of this is done: a resumed run does not
        repeat an evaluation that has its line.
        """
        line = {"step": step, "split": split, **figures}
        values = [
            tf.Summary.Value(tag=name, simple_value=value)
            for name, value in figures.items()
            if name not in NOT_DRAWN
        ]
        values.append(tf.Summary.Value(tag="global_step", simple_value=step))
        writer = self._writers[split]
        writer.add_summary(tf.Summary(value=values), step)
        writer.flush()
        with translate_os_errors(self._path):
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def write_own(self, step: int, name: str, value: float) -> None:
        """Add a figure of the user's, as a line and as a point of a curve of the split train.

        Args:
            step: the step, not before that of the last call.
            name: each once a step.
            value: a finite number.

        Raises:
            UsageError: the name is taken, or the value is not a finite number.
        """
        if step != self._step:
            self._step, self._logged = step, set()
        _check_own(name, value, self._logged)
        self._logged.add(name)
        if step == self._first_step and name in self._logged_before:
            return
        number = float(value)
        point = tf.Summary.Value(tag=name, simple_value=number)
        writer = self._writers["train"]
        writer.add_summary(tf.Summary(value=[point]), step)
        writer.flush()
        with translate_os_errors(self._path):
            self._file.write(json.dumps({"step": step, "split": OWN, name: number}) + "\n")
            self._file.flush()

    def write_summary(self, split: str, step: int, summary: bytes) -> None:
        """Add a serialized summary to the split's event file."""
        self._writers[split].add_summary(summary, step)

    def write_trace(self, step: int, metadata: Any) -> None:
        """Add the `tf.RunMetadata` of a training step to the graph."""
        self._writers["train"].add_run_metadata(metadata, f"step {step}", step)

    def has(self, split: str, step: int) -> bool:
        """Return whether metrics.jsonl has a line of this split and step."""
        return has_line(self._path.parent, split, step)

    def flush(self) -> None:
        """Pass everything written so far to the operating system."""
        with translate_os_errors(self._path):
            self._file.flush()
        for writer in self._writers.values():
            writer.flush()

    def sync(self) -> None:
        """Wait until the flushed lines of metrics.jsonl are on the disk; any thread may call it."""
        with translate_os_errors(self._path):
            fsync(self._file.fileno(), self._path)

    def close(self) -> None:
        """Flush and close all files."""
        with contextlib.ExitStack() as stack:  # closes each file, even after one has failed
            for writer in self._writers.values():
                stack.callback(writer.close)
            stack.enter_context(translate_os_errors(self._path))
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self.close()
        except CnnlabError:
            if kind is None:
                raise


def _check_own(name: str, value: Any, logged: set[str]) -> None:
    """Raise UsageError if a figure of the user's cannot be written."""
    if not isinstance(name, str) or not name or name in TAKEN_FIGURES:
        why = "is taken" if name in TAKEN_FIGURES else "is not a name"
        raise UsageError(f"log({name!r}): {name!r} {why}; choose another name")
    if name in logged:
        raise UsageError(f"log({name!r}): this step already has a figure of this name")
    try:
        check_line({"step": 0, "split": OWN, name: float(value)})
    except (TypeError, ValueError) as error:
        raise UsageError(f"log({name!r}): {value} is not a finite number") from error
