"""What a run writes down while it goes: metrics.jsonl and TensorBoard's event files.

Both splits use the same tags, in writers of their own (LOG_DIR/train and LOG_DIR/val), so
TensorBoard lays their curves over each other. A resumed run takes back what an earlier process
wrote after the checkpoint it goes on from, so that every step stands once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cnnlab.files import write_atomically
from cnnlab.tf1 import tf

METRICS_FILE = "metrics.jsonl"
SPLITS = ("train", "val")
NOT_DRAWN = ("seconds",)


def read_metrics(save_dir: Path, last_step: int | None = None) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl up to a step; a last line cut short by a kill is left out."""
    path = save_dir / METRICS_FILE
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not text.endswith("\n"):
            break
        line = json.loads(text)
        if last_step is None or line["step"] <= last_step:
            lines.append(line)
    return lines


class RunLog:
    """Writes metrics.jsonl and the event files of one run."""

    def __init__(self, save_dir: Path, log_dir: Path, graph: Any, first_step: int) -> None:
        """Open the files, keeping what was written up to `first_step` and nothing after it."""
        kept = "".join(json.dumps(line) + "\n" for line in read_metrics(save_dir, first_step))
        write_atomically(save_dir / METRICS_FILE, kept)
        self._file = (save_dir / METRICS_FILE).open("a", encoding="utf-8")
        with graph.as_default():  # FileWriter refuses to work where eager execution is the default
            self._writers = {split: tf.summary.FileWriter(str(log_dir / split)) for split in SPLITS}
        for writer in self._writers.values():
            # To TensorBoard this says: steps from here on, if any were drawn, are void.
            start = tf.SessionLog(status=tf.SessionLog.START)
            writer.add_session_log(start, first_step + 1 if first_step else 0)
        self._writers["train"].add_graph(graph)
        self.flush()

    def write(self, split: str, step: int, **figures: float) -> None:
        """Add one line to metrics.jsonl and one point to each curve."""
        line = {"step": step, "split": split, **figures}
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

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        self._file.flush()
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Flush and close all files."""
        self._file.close()
        for writer in self._writers.values():
            writer.close()


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
            summaries.append(tf.summary.scalar(f"{name}/{statistic}", value))
        summaries.append(tf.summary.histogram(f"{name}/histogram", output))
    for variable in tf.trainable_variables():
        summaries.append(tf.summary.histogram(f"weights/{variable.op.name}", variable))
    return tf.summary.merge(summaries)
