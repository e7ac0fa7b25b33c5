"""A worker that is lost, and workers that differ: one line that names it, and the exit code."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests import small_run
from tests.run.cluster import workers

LONG = {"run": {"steps": 100_000, "checkpoint_steps": 5, "eval_steps": 10**6}}


def wait_for_checkpoint(folder: Path) -> None:
    deadline = time.monotonic() + workers.TIMEOUT_SECS
    while not (folder / "run" / "checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_killed_worker_is_named_and_the_run_resumes_alone(tmp_path: Path) -> None:
    processes = workers.start(2, tmp_path, LONG)
    wait_for_checkpoint(tmp_path)
    processes[1].kill()
    (code, output), _ = workers.finish(processes)
    assert code == 75, output
    assert "worker 1 (127.0.0.1:" in output
    assert "does not answer; start all workers again" in output
    step = int((tmp_path / "run" / "checkpoint").read_text().split("ckpt-")[1].split('"')[0])
    steps = step + 3
    alone = workers.train(1, tmp_path, {"run": {**LONG["run"], "steps": steps}})["run"][0]
    straight = {"straight": {**LONG["run"], "steps": steps}}
    expected = workers.train(1, tmp_path, straight)["straight"][0]
    small_run.assert_same_bits(alone, expected)


@pytest.mark.slow
def test_a_stopped_worker_is_named_after_the_timeout(tmp_path: Path) -> None:
    runs = {"run": {**LONG["run"], "worker_timeout_secs": 20}}
    processes = workers.start(2, tmp_path, runs)
    wait_for_checkpoint(tmp_path)
    os.kill(processes[1].pid, signal.SIGSTOP)
    output, _ = processes[0].communicate(timeout=workers.TIMEOUT_SECS)
    processes[1].kill()
    processes[1].communicate()
    assert processes[0].returncode == 75, output
    assert "after 20 seconds: worker 1 (127.0.0.1:" in output


@pytest.mark.slow
def test_workers_with_other_options_are_refused(tmp_path: Path) -> None:
    runs = {"run": {"learning_rate": 0.1}}
    other = {"run": {"learning_rate": 0.2}}
    for code, output in workers.finish(workers.start(2, tmp_path, runs, of_worker={1: other})):
        assert code == 2, output
        assert "differs from worker 0: learning_rate=0.2 there and 0.1 on worker 0" in output
    assert not (tmp_path / "run").exists()
