"""Compare two runs of the same options, which must agree to the last bit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.base.tf1 import tf

TIMING_FIELDS = ("images_per_sec", "seconds", "waiting")


def divergences(expected: Path, found: Path) -> list[str]:
    """Return what differs between two finished runs; an empty list if they agree.

    Compares every variable of the last checkpoint and of the best, byte for byte; the steps of
    both; metrics.jsonl and result.json without their timing fields. Also reports a step that the
    event files would draw twice.
    """
    problems = []
    for name in (".", "best"):
        problems += _checkpoint_divergences(expected / name, found / name, name)
    for name in ("metrics.jsonl", "result.json"):
        if untimed(expected / name) != untimed(found / name):
            problems.append(f"{name} differs")
    return problems + drawn_twice(found / "logs")


def untimed(path: Path) -> list[str]:
    """Return the file's JSON documents as text, without the timing fields."""
    text = path.read_text(encoding="utf-8")
    documents = text.splitlines() if path.suffix == ".jsonl" else [text]
    kept = []
    for document in documents:
        values: dict[str, Any] = json.loads(document)
        kept.append(json.dumps({k: v for k, v in values.items() if k not in TIMING_FIELDS}))
    return kept


def drawn_twice(log_dir: Path) -> list[str]:
    """Return the steps that TensorBoard would draw more than once."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    problems = []
    for folder in sorted(path for path in log_dir.iterdir() if path.is_dir()):
        events = EventAccumulator(str(folder), purge_orphaned_data=True)
        events.Reload()
        for tag in events.Tags()["scalars"]:
            steps = Counter(event.step for event in events.Scalars(tag))
            twice = [step for step, count in steps.items() if count > 1]
            if twice:
                problems.append(f"{folder.name}/{tag} is drawn twice at steps {twice[:5]}")
    return problems


def _checkpoint_divergences(expected: Path, found: Path, name: str) -> list[str]:
    paths = [tf.train.latest_checkpoint(str(folder)) for folder in (expected, found)]
    if None in paths:
        return [f"{name}: no checkpoint"]
    if Path(paths[0]).name != Path(paths[1]).name:
        return [f"{name}: {Path(paths[1]).name} instead of {Path(paths[0]).name}"]
    ours, theirs = (tf.train.load_checkpoint(path) for path in paths)
    names = sorted(ours.get_variable_to_shape_map())
    if names != sorted(theirs.get_variable_to_shape_map()):
        return [f"{name}: other variables"]
    differing = [
        variable
        for variable in names
        if np.asarray(ours.get_tensor(variable)).tobytes()
        != np.asarray(theirs.get_tensor(variable)).tobytes()
    ]
    return [f"{name}: {variable} differs" for variable in differing]
