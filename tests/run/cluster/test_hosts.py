"""Workers on hosts of their own, with a slow network between them, and a host that is cut off."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests import small_run
from tests.run.cluster import hosts, workers
from tests.run.cluster.test_lost_worker import LONG, wait_for_checkpoint

pytestmark = pytest.mark.slow
DELAY_SECS = 0.005
RUNS: dict[str, dict[str, Any]] = {"mixup": {"augment": ["flip", "mixup"], "clip_norm": 1.0}}


@pytest.fixture(scope="module", autouse=True)
def can_have_hosts() -> None:
    if reason := hosts.missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    return workers.train(1, tmp_path_factory.mktemp("alone"), RUNS)


@pytest.mark.parametrize("count", [2, 4])
def test_a_slow_network_changes_no_bit(
    count: int, tmp_path: Path, alone: dict[str, list[dict[str, Any]]]
) -> None:
    with hosts.hosts(count, DELAY_SECS) as made:
        assert made.round_trip_secs() > 2 * DELAY_SECS
        together = workers.train(count, tmp_path, RUNS, on=made)
    for name in RUNS:
        for found in together[name]:
            small_run.assert_same_bits(found, alone[name][0])


@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_that_is_cut_off_is_named_within_the_timeout(lost: int, tmp_path: Path) -> None:
    timeout_secs = 40
    runs = {"run": {**LONG["run"], "worker_timeout_secs": timeout_secs}}
    with hosts.hosts(2, DELAY_SECS) as made:
        processes = workers.start(2, tmp_path, runs, on=made)
        wait_for_checkpoint(tmp_path, processes)
        made.cut_off(lost)
        cut_at = time.monotonic()
        results = workers.finish(processes)
        secs = time.monotonic() - cut_at
    for worker, (code, output) in enumerate(results):
        assert code == 75, output
        assert f"worker {1 - worker} (10.77.0.{2 - worker}:2222) does not answer" in output
    assert secs < 2 * timeout_secs  # with the question who answers, and the end of Python
