"""The step time of each worker, and the worker that is slow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cnnlab.run.cluster.step_times import StepTimesHook
from tests.run.cluster import workers


def said(*intervals: list[float]) -> list[list[str]]:
    """Return the lines after each interval, in which the workers had these step times."""
    hook = StepTimesHook(10, None)  # type: ignore[arg-type]
    return [hook.slow_workers({f"worker {i}": s for i, s in enumerate(one)}) for one in intervals]


def test_a_slow_worker_is_named_once_after_three_intervals() -> None:
    slow, even = [0.1, 0.1, 0.19, 0.11], [0.1, 0.1, 0.12, 0.1]
    assert said(slow, slow, slow, slow) == [
        [],
        [],
        [
            "worker 2 is slow: 0.19 s of own work a step, where the others need 0.1 s; all wait "
            "for it"
        ],
        [],
    ]
    assert said(slow, slow, even, slow, slow) == [[]] * 5
    found = said(slow, slow, slow, even, slow, slow, slow)
    assert [len(lines) for lines in found] == [0, 0, 1, 0, 0, 0, 1]


def test_of_two_workers_the_slower_one_is_named() -> None:
    assert [len(lines) for lines in said(*[[0.3, 0.1]] * 3)] == [0, 0, 1]
    assert said(*[[0.3, 0.1]] * 3)[2][0].startswith("worker 0 is slow")


def test_steps_below_a_millisecond_do_not_count() -> None:
    assert said(*[[0.0009, 0.0001]] * 5) == [[]] * 5


@pytest.mark.slow
def test_a_slow_worker_is_seen_in_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options: dict[str, Any] = {"network": "sleeping", "steps": 30, "summary_steps": 5}
    processes = workers.start(2, tmp_path, {"run": options})
    (code, output), _ = workers.finish(processes)
    assert code == 0, output
    assert re.search(r"worker 1 \(127.0.0.1:\d+\) is slow: 0.\d+ s of own work a step", output)
    events = EventAccumulator(str(tmp_path / "run-logs" / "train"))
    events.Reload()
    own, other = (events.Scalars(f"workers/step_secs/{n}")[1:] for n in (1, 0))
    assert len(own) == 5
    for mine, theirs in zip(own, other, strict=True):
        assert mine.value > max(4 * 0.03, theirs.value)  # it has four parts
