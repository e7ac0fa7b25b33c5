"""A worker that is lost, and workers that differ: one line that names it, and the exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cnnlab.run.cluster import watchdog
from tests import small_run
from tests.run.cluster import workers

LONG = {"run": {"steps": 100_000, "checkpoint_steps": 5, "eval_steps": 10**6}}


def wait_for_checkpoint(folder: Path, processes: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + workers.TIMEOUT_SECS
    while not (folder / "run" / "checkpoint").exists() and time.monotonic() < deadline:
        assert all(process.poll() is None for process in processes), workers.finish(processes)
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_worker_is_named_and_the_run_resumes_alone(tmp_path: Path) -> None:
    processes = workers.start(2, tmp_path, LONG)
    wait_for_checkpoint(tmp_path, processes)
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
    wait_for_checkpoint(tmp_path, processes)
    os.kill(processes[1].pid, signal.SIGSTOP)
    output, _ = processes[0].communicate(timeout=workers.TIMEOUT_SECS)
    processes[1].kill()
    processes[1].communicate()
    assert processes[0].returncode == 75, output
    assert "after 20 seconds: worker 1 (127.0.0.1:" in output


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_worker_that_never_comes_is_named_after_the_timeout(lost: int, tmp_path: Path) -> None:
    processes = workers.start(2, tmp_path, {"run": {**LONG["run"], "worker_timeout_secs": 10}})
    processes[lost].kill()
    code, output = workers.finish(processes)[1 - lost]
    assert code == 75, output
    assert f"waiting for all workers after 10 seconds: worker {lost} (127.0.0.1:" in output


@pytest.mark.slow
def test_lists_of_other_lengths_are_refused(tmp_path: Path) -> None:
    runs = {"run": {**LONG["run"], "worker_timeout_secs": 60}}
    four = workers.free_addresses(4)
    found = workers.finish(workers.start(2, tmp_path, runs, lists=[four[:2], four]))
    for (code, output), ours, other in zip(found, (2, 4), (4, 2), strict=True):
        assert code == 2, output
        assert f"TF_CONFIG lists {ours} workers here and {other} on another worker; " in output
        assert f"the same list; here it is {', '.join(four[:ours])}\n" in output


@pytest.mark.slow
def test_a_list_with_another_address_is_named(tmp_path: Path) -> None:
    runs = {"run": {**LONG["run"], "worker_timeout_secs": 10}}
    chief, one, other = workers.free_addresses(3)
    lists = [[chief, one], [chief, other]]
    code, output = workers.finish(workers.start(2, tmp_path, runs, lists=lists))[0]
    assert code == 75, output
    assert f"worker 1 ({one}) does not answer; start all workers, each with its own" in output
    assert f"the same list in TF_CONFIG; here it is {chief}, {one}\n" in output


def test_the_watchdog_ends_what_tensorflow_does_not(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []
    ended = threading.Event()

    def leave(code: int) -> None:
        codes.append(code)
        ended.set()
        dog.close()

    monkeypatch.setattr(watchdog, "GRACE_SECS", 0.0)
    monkeypatch.setattr(watchdog.os, "_exit", leave)
    dog = watchdog.Watchdog(lambda what: f"{what}: worker 0 does not answer", 75, poll_secs=0.01)
    for timeout_secs, is_over in ((60.0, False), (0.05, True)):
        dog.begin("step 3", timeout_secs)
        assert ended.wait(timeout=10 if is_over else 0.1) is is_over
        dog.end()
    assert codes == [75]
    assert "error: step 3: worker 0 does not answer" in capfd.readouterr().err


@pytest.mark.slow
def test_workers_with_other_options_are_refused(tmp_path: Path) -> None:
    runs = {"run": {"learning_rate": 0.1}}
    other = {"run": {"learning_rate": 0.2}}
    for code, output in workers.finish(workers.start(2, tmp_path, runs, of_worker={1: other})):
        assert code == 2, output
        assert "differs from worker 0: learning_rate=0.2 there and 0.1 on worker 0" in output
    assert not (tmp_path / "run").exists()
