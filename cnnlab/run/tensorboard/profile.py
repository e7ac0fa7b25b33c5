"""The profile of traced steps: time by part of the step, by kind of operation and by layer."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from cnnlab.graph.step import APART
from cnnlab.run.tensorboard.drawn_graph import IN_BODY

PARTS = ("forward", "backward", "optimizer", "input", "rest")
_PART_OF = {
    "model": "forward",
    "loss": "forward",
    "gradients": "backward",
    "optimizer": "optimizer",
    "next_batch": "input",
    "data": "input",
    "resident_data": "input",
    "training/batch": "input",
}
_LONGEST_TABLE = 20  # kinds of operations


class Operation(NamedTuple):
    """One operation that ran.

    name: the name of its node, without the loop's prefix.
    kind: the kind that TensorFlow ran; one that replaces several has Fused in its name.
    ms: milliseconds from its start to its end.
    """

    name: str
    kind: str
    ms: float


class Profile:
    """Adds up the operations of traced steps."""

    def __init__(self, layers: Collection[str]) -> None:
        """Prepare to add up the steps.

        Args:
            layers: the layers' names, which are prefixes of their operations' names.
        """
        self._layers = sorted(layers, key=len, reverse=True)
        self._steps: list[int] = []
        self._step_ms = 0.0
        self._ms: dict[tuple[str, str, str], float] = defaultdict(float)
        self._counts: dict[tuple[str, str, str], int] = defaultdict(int)

    def add(self, step: int, metadata: Any) -> None:
        """Add a step by the `tf.RunMetadata` of a session run that made no other step."""
        self._steps.append(step)
        stats = metadata.step_stats
        self._step_ms += _elapsed_ms(stats)
        for operation in _operations_of(stats):
            key = self._part_of(operation.name), operation.kind, self._layer_of(operation.name)
            self._ms[key] += operation.ms
            self._counts[key] += 1

    def figures(self) -> dict[str, Any] | None:
        """Return means over the steps, or None if there are none.

        Returns:
            first_step, last_step: the first and the last traced step.
            step_ms: milliseconds from the first operation's start to the last one's end.
            operations_ms: sum of the milliseconds of all operations. It is more than step_ms if
                operations ran in parallel, and less if there were gaps between them.
            parts, kinds, layers: rows with name, ms, share (of operations_ms), and count (of
                operations a step). Rows of layers also have forward_ms, backward_ms and
                optimizer_ms.
        """
        if not self._steps:
            return None
        total = sum(self._ms.values())
        parts = {row["name"]: row for row in self._rows(0, total)}
        layers = self._rows(2, total)
        for row in layers:
            for part in ("forward", "backward", "optimizer"):
                times = (ms for key, ms in self._ms.items() if key[::2] == (part, row["name"]))
                row[f"{part}_ms"] = round(sum(times) / len(self._steps), 4)
        return {
            "first_step": min(self._steps),
            "last_step": max(self._steps),
            "step_ms": round(self._step_ms / len(self._steps), 4),
            "operations_ms": round(total / len(self._steps), 4),
            "parts": [parts[name] for name in PARTS if name in parts],
            "kinds": self._rows(1, total),
            "layers": [row for row in layers if row["name"]],
        }

    def _rows(self, column: int, total: float) -> list[dict[str, Any]]:
        """Return a row for each value of a column of the keys, the longest time first."""
        steps = len(self._steps)
        rows = []
        for name in {key[column] for key in self._ms}:
            ms = sum(value for key, value in self._ms.items() if key[column] == name)
            count = sum(value for key, value in self._counts.items() if key[column] == name)
            rows.append(
                {
                    "name": name,
                    "ms": round(ms / steps, 4),
                    "share": round(ms / total, 4),
                    "count": round(count / steps, 2),
                }
            )
        return sorted(rows, key=lambda row: (-row["ms"], row["name"]))

    def _part_of(self, name: str) -> str:
        first, _, second = name.partition("/")
        return _PART_OF.get(f"{first}/{second.partition('/')[0]}") or _PART_OF.get(first, "rest")

    def _layer_of(self, name: str) -> str:
        """Return the layer of an operation, or '' if it belongs to none."""
        found = re.search(r"(?:^|/)(?:model/|update_)(.+)", name)
        if found is None:
            return ""
        for layer in self._layers:
            if found[1].startswith(f"{layer}/"):
                return layer
        return found[1].partition("/")[0] if "/" in found[1] else ""


def table(figures: dict[str, Any]) -> str:
    """Return the figures of `Profile.figures` as text."""
    lines = [
        f"profile of steps {figures['first_step']} to {figures['last_step']}: "
        f"{figures['step_ms']:.3f} ms a step, {figures['operations_ms']:.3f} ms in operations",
        f"{'part':34}{'ms a step':>11}{'share':>8}{'count':>8}",
        *map(_line, figures["parts"]),
        "",
        f"{'kind of operation':34}{'ms a step':>11}{'share':>8}{'count':>8}",
        *map(_line, figures["kinds"][:_LONGEST_TABLE]),
        "",
        f"{'layer':34}{'ms a step':>11}{'share':>8}{'count':>8}"
        f"{'forward':>10}{'backward':>10}{'optimizer':>11}",
    ]
    for row in figures["layers"]:
        lines.append(
            f"{_line(row)}{row['forward_ms']:10.3f}{row['backward_ms']:10.3f}"
            f"{row['optimizer_ms']:11.3f}"
        )
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    return f"{row['name']:34}{row['ms']:11.3f}{row['share']:8.1%}{row['count']:8.1f}"


def _operations_of(stats: Any) -> Iterator[Operation]:
    # A GPU has several lists: its launches, each stream, and all streams together. Only the last
    # one counts, because the others repeat its operations.
    streams = {d.device for d in stats.dev_stats if d.device.endswith("/stream:all")}
    for device in stats.dev_stats:
        name = device.device
        is_repeated = "/stream:" in name or any(stream.startswith(name) for stream in streams)
        if name not in streams and is_repeated:
            continue
        for node in device.node_stats:
            name, kind = _name_and_kind(node, device.device in streams)
            inside = IN_BODY.match(name)
            if f"/{APART}/" in name:  # a call, whose operations are in the list too
                continue
            ms = node.all_end_rel_nanos / 1e6 or node.all_end_rel_micros / 1e3
            yield Operation(inside[1] if inside else name, kind, ms)


def _name_and_kind(node: Any, is_stream: bool) -> tuple[str, str]:
    if is_stream:  # "NAME:KIND"
        name, _, kind = node.node_name.partition(":")
        return name, kind or "unknown"
    found = re.search(r" = ([^(]+)\(", node.timeline_label)  # "NAME = KIND(inputs)"
    return node.node_name, found[1] if found else node.node_name


def _elapsed_ms(stats: Any) -> float:
    nodes = [node for device in stats.dev_stats for node in device.node_stats]
    start = min(node.all_start_micros for node in nodes)
    return (max(node.all_start_micros + node.all_end_rel_micros for node in nodes) - start) / 1e3
