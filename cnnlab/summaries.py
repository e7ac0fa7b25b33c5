"""What a run writes down while it goes: metrics.jsonl and TensorBoard's event files.

Both splits use the same tags, in writers of their own (LOG_DIR/train and LOG_DIR/val), so
TensorBoard lays their curves over each other. A resumed run takes back what an earlier process
wrote after the checkpoint it goes on from, so that every step stands once.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Self

from cnnlab.board.drawn_graph import DrawnGraph
from cnnlab.errors import CnnlabError
from cnnlab.events import EventWriter
from cnnlab.files import naming_failures, read_text, write_atomically
from cnnlab.tf1 import tf

METRICS_FILE = "metrics.jsonl"
SPLITS = ("train", "val")
NOT_DRAWN = ("seconds",)
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


class RunLog:
    """Writes metrics.jsonl and the event files of one run.

    As a context manager it closes them; a failure to do so does not hide an earlier error.
    """

    def __init__(self, save_dir: Path, log_dir: Path, graph: Any, first_step: int) -> None:
        """Open the files, keeping what was written up to `first_step` and nothing after it.

        Raises:
            CnnlabError: as for all methods here, a file cannot be written.
        """
        self._path = save_dir / METRICS_FILE
        kept = "".join(json.dumps(line) + "\n" for line in read_metrics(save_dir, first_step))
        write_atomically(self._path, kept)
        with naming_failures(self._path):
            self._file = self._path.open("a", encoding="utf-8")
        self._writers = {split: EventWriter(log_dir / split) for split in SPLITS}
        for writer in self._writers.values():
            writer.add_restart(first_step + 1 if first_step else 0)
        if not first_step:  # TensorBoard warns of a second one
            self._writers["train"].add_graph(DrawnGraph(graph).definition)
        self.flush()

    def write(self, split: str, step: int, **figures: float) -> None:
        """Add one line to metrics.jsonl and one point to each curve."""
        line = {"step": step, "split": split, **figures}
        with naming_failures(self._path):
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        values = [
            tf.Summary.Value(tag=name, simple_value=value)
            for name, value in figures.items()
            if name not in NOT_DRAWN
        ]
        self._writers[split].add_summary(tf.Summary(value=values), step)

    def write_summary(self, split: str, step: int, summary: bytes) -> None:
        """Add a serialized summary to the split's event file."""
        self._writers[split].add_summary(summary, step)

    def write_trace(self, step: int, metadata: Any) -> None:
        """Add the `tf.RunMetadata` of a training step to the graph."""
        self._writers["train"].add_run_metadata(metadata, f"step {step}", step)

    def has(self, split: str, step: int) -> bool:
        """Whether metrics.jsonl has a line of this split and step."""
        lines = read_metrics(self._path.parent)
        return any(line["split"] == split and line["step"] == step for line in lines)

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        with naming_failures(self._path):
            self._file.flush()
        for writer in self._writers.values():
            writer.flush()

    def sync(self) -> None:
        """Wait until the disk has what metrics.jsonl was flushed of; on any thread."""
        with naming_failures(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush and close all files."""
        with contextlib.ExitStack() as stack:  # closes each, even after one has failed
            for writer in self._writers.values():
                stack.callback(writer.close)
            stack.enter_context(naming_failures(self._path))
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self.close()
        except CnnlabError:
            if kind is None:
                raise


def build_layer_summaries(activations: dict[str, Any]) -> Any:
    """Add the five statistics of each layer's output and a histogram of each weight.

    Args:
        activations: name to output of each layer, float32 [batch, ...].

    Returns:
        bytes scalar, a serialized summary with tags LAYER/mean, /sd, /max, /min and /histogram, and
        weights/VARIABLE.
    """
    summaries = []
    for name, output in activations.items():
        mean, variance = tf.nn.moments(output, axes=list(range(output.shape.rank)))
        statistics = {
            "mean": mean,
            "sd": tf.sqrt(variance),
            "max": tf.reduce_max(output),
            "min": tf.reduce_min(output),
        }
        for statistic, value in statistics.items():
            # The raw ops, because tf.summary's put the name scope in front of the tag.
            tag = f"{name}/{statistic}"
            summaries.append(tf.raw_ops.ScalarSummary(tags=tag, values=value))
        summaries.append(tf.raw_ops.HistogramSummary(tag=f"{name}/histogram", values=output))
    for variable in tf.trainable_variables():
        tag = f"weights/{variable.op.name}"
        summaries.append(tf.raw_ops.HistogramSummary(tag=tag, values=variable))
    return tf.summary.merge(summaries)
