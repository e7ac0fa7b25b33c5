"""Running the real commands in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
TRAIN = (
    "--dataset=shapes",
    "--model=mnist_perceptron",
    "--model_options={init_stddev: 0.01}",
    "--batch_size=50",
    "--steps=40",
    "--eval_steps=20",
    "--summary_steps=10",
    "--checkpoint_steps=20",
    "--learning_rate=0.0005",
    "--device=cpu",
    "--json",
)


def start(module: str, *words: str, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """Start `python -m module` with this checkout's package."""
    return start_python("-m", module, *words, cwd=cwd, **options)


def start_python(*words: str, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=cwd,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


class Finished(NamedTuple):
    """What a process left behind, and the folder it ran in."""

    stdout: str
    stderr: str
    code: int
    folder: Path


def finish(process: subprocess.Popen[str], folder: Path) -> Finished:
    """Wait for its end; kill it after five minutes, so that no later test is disturbed."""
    try:
        stdout, stderr = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Finished(stdout, stderr, process.returncode, folder)


def assert_one_error_line(stderr: str) -> str:
    """The message of the only line that starts with error:, with no traceback around it."""
    assert "Traceback" not in stderr
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, stderr
    assert stderr.rstrip("\n").endswith(errors[0])
    return errors[0].removeprefix("error: ")
