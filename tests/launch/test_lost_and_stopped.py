"""Launch while workers are killed or asked to stop: what ends, what is saved, and the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import commands

LONGEST_SECS = 300.0  # on a busy machine
TRAIN = (
    *("--dataset=shapes", "--model=mnist_perceptron", "--batch_size=8", "--micro_batches=2"),
    *("--device=cpu", "--checkpoint_steps=20", "--eval_steps=100000", "--max_to_keep=2"),
)


def launch(folder: Path, *words: str, steps: int) -> subprocess.Popen[str]:
    command = ("--", "train", *TRAIN, f"--steps={steps}", "--save_dir=run")
    return commands.start("cnnlab.launch", "--workers=2", *words, *command, cwd=folder)


def train_alone(folder: Path, name: str, steps: int) -> None:
    words = (*TRAIN, f"--steps={steps}", f"--save_dir={name}")
    done = commands.finish(commands.start("cnnlab.train", *words, cwd=folder), folder)
    assert done.code == 0, done.stderr


def workers_of(process: subprocess.Popen[str]) -> dict[int, int]:
    """Return the process id of each worker by its number."""
    found = {}
    for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(b"TF_CONFIG="):
                found[json.loads(variable.partition(b"=")[2])["task"]["index"]] = int(pid)
    return found


def checkpoint_of(folder: Path) -> int:
    """Return the step of the latest checkpoint, 0 if there is none."""
    pointer = folder / "run" / "checkpoint"
    return int(pointer.read_text().split("ckpt-")[1].split('"')[0]) if pointer.exists() else 0


def wait_for_checkpoint(process: subprocess.Popen[str], folder: Path, after: int = 0) -> int:
    deadline = time.monotonic() + LONGEST_SECS
    while (step := checkpoint_of(folder)) <= after and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return step


def assert_same_weights(folder: Path, step: int) -> None:
    """Assert that the runs in `run` and `alone` have the same bits after a step."""
    name = f"model.ckpt-{step}.data-00000-of-00001"
    assert (folder / "run" / name).read_bytes() == (folder / "alone" / name).read_bytes()


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_killed_workers_are_started_again_and_the_weights_stay(tmp_path: Path) -> None:
    steps = 1500
    process = launch(tmp_path, "--restarts=2", steps=steps)
    step = wait_for_checkpoint(process, tmp_path)
    os.kill(workers_of(process)[1], signal.SIGKILL)
    wait_for_checkpoint(process, tmp_path, after=step + 40)
    assert step < steps / 2
    os.kill(workers_of(process)[0], signal.SIGKILL)
    done = commands.finish(process, tmp_path)
    assert done.code == 0, done.stderr
    assert "launch: exit code 137; starting all workers again, 2 times left" in done.stderr
    assert "launch: exit code 137; starting all workers again, 1 times left" in done.stderr
    assert done.stderr.count("resuming from step") == 2
    train_alone(tmp_path, "alone", steps)
    assert_same_weights(tmp_path, steps)


@pytest.mark.slow
def test_without_restarts_left_the_code_is_that_of_the_killed_one(tmp_path: Path) -> None:
    process = launch(tmp_path, steps=100_000)
    wait_for_checkpoint(process, tmp_path)
    others = workers_of(process)
    os.kill(others[1], signal.SIGKILL)
    done = commands.finish(process, tmp_path)
    assert done.code == 128 + signal.SIGKILL
    assert "[0] error: " in done.stderr
    assert "worker 1 (127.0.0.1:" in done.stderr
    assert "starting all workers again" not in done.stderr
    assert not is_running(others[0])


@pytest.mark.slow
def test_workers_end_when_launch_is_killed_and_the_run_resumes(tmp_path: Path) -> None:
    process = launch(tmp_path, "--restarts=3", steps=100_000)
    wait_for_checkpoint(process, tmp_path)
    pids = workers_of(process)
    process.kill()
    killed_at = time.monotonic()
    done = commands.finish(process, tmp_path)  # also waits for the workers, which hold its stderr
    assert time.monotonic() - killed_at < 20
    for worker, pid in pids.items():
        assert f"[{worker}] error: launch has been killed, so this worker ends; " in done.stderr
        assert not is_running(pid)
    step = checkpoint_of(tmp_path)
    train_alone(tmp_path, "run", step + 3)
    train_alone(tmp_path, "alone", step + 3)
    assert_same_weights(tmp_path, step + 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "worker"),
    [(signal.SIGINT, None), (signal.SIGTERM, None), (signal.SIGHUP, None), (signal.SIGTERM, 1)],
)
def test_a_signal_stops_all_workers(
    number: signal.Signals, worker: int | None, tmp_path: Path
) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # under nohup, launch would inherit SIG_IGN
    try:
        process = launch(tmp_path, "--restarts=3", steps=100_000)
    finally:
        signal.signal(number, before)
    wait_for_checkpoint(process, tmp_path)
    pids = workers_of(process)
    os.kill(process.pid if worker is None else pids[worker], number)
    done = commands.finish(process, tmp_path)
    assert done.code == 128 + number, done.stderr
    assert "starting all workers again" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(map(is_running, pids.values()))
    if worker is not None:
        assert "[0] stopping: worker 1 (127.0.0.1:" in done.stderr
    step = checkpoint_of(tmp_path)
    assert f"stopped at step {step}, saved" in done.stdout
    if number == signal.SIGTERM:  # the checkpoint is whole: one process goes on from it
        train_alone(tmp_path, "run", step + 3)
        train_alone(tmp_path, "alone", step + 3)
        assert_same_weights(tmp_path, step + 3)
