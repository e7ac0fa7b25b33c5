"""Evaluation by several workers: whose batches are whose, in rounds; threads stand for workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from cnnlab.run.cluster import shared_evaluation
from cnnlab.run.cluster.place import Place
from cnnlab.run.cluster.shared_evaluation import completed
from cnnlab.run.inference import EvaluationStoppedError, Found

WORKERS, BATCH, IMAGES = 3, 4, 45
FETCHES = ["logits", "losses"]
LOGITS = np.arange(2 * IMAGES, dtype=np.float32).reshape(IMAGES, 2)


class Messages:
    """What `cnnlab.run.cluster.messages` does, between threads."""

    barrier = threading.Barrier(WORKERS, timeout=10)
    values: list[Any] = [None] * WORKERS

    def __init__(self, worker: int) -> None:
        self.worker = worker

    def exchange(self, value: Any, _what: str) -> list[Any]:
        self.values[self.worker] = value
        self.barrier.wait()
        found = list(self.values)
        self.barrier.wait()
        return found

    def gather_rows(self, rows: Any, what: str) -> Any:
        return np.concatenate([one for one in self.exchange(rows, what) if len(one)])


class Worker:
    def __init__(self, worker: int, stops_at: int | None = None) -> None:
        self.place = Place(tuple(f"host{i}:1" for i in range(WORKERS)), worker)
        self.messages = Messages(worker)
        self.computed: list[int] = []
        self._stops_at = stops_at

    def compute(self, starts: Sequence[int]) -> Iterator[Found]:
        for start in starts:
            if start == self._stops_at:
                raise EvaluationStoppedError
            self.computed.append(start)
            logits = LOGITS[start : start + BATCH]
            yield {"logits": logits, "losses": logits[:, 0]}

    def evaluate(self) -> list[Found]:
        return list(completed(self, self.compute, range(0, IMAGES, BATCH), FETCHES))  # type: ignore[arg-type]


@pytest.mark.parametrize("batches", [1, 2, 64])
def test_every_worker_gets_all_batches_in_order(
    batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_evaluation, "BATCHES_OF_A_ROUND", batches)
    workers = [Worker(number) for number in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        for found in pool.map(Worker.evaluate, workers):
            assert [len(one["losses"]) for one in found] == [BATCH] * 11 + [1]
            np.testing.assert_array_equal(np.concatenate([one["logits"] for one in found]), LOGITS)
            np.testing.assert_array_equal(
                np.concatenate([one["losses"] for one in found]), LOGITS[:, 0]
            )
    assert sorted(start for one in workers for start in one.computed) == [*range(0, IMAGES, BATCH)]
    assert max(len(one.computed) for one in workers) == 4


def test_one_worker_that_stops_stops_all() -> None:
    workers = [Worker(number, stops_at=20) for number in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        for future in [pool.submit(one.evaluate) for one in workers]:
            with pytest.raises(EvaluationStoppedError):
                future.result()
