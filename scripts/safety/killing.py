"""Start a training process, watch it and kill it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from scripts.safety.workloads import options_of

POLL_SECS = 0.0005
# What a kill waits for before its random delay: nothing ("any"), the write of a checkpoint, the
# write of a best step, or a new line of metrics, which evaluation and saving follow.
AIMS = ("any", "saving", "best", "metrics")


def train(workload: str, data_dir: str, save_dir: Path) -> None:
    """Train the workload in this process until it is finished."""
    from cnnlab import Train

    options: dict[str, Any] = options_of(workload, data_dir)
    with Train(**options, save_dir=str(save_dir)) as run:
        run.train()


class Training:
    """One training process.

    `start="spawn"` starts a new interpreter, as a user does. `start="fork"` forks this process.
    This process has imported TensorFlow but has made no graph, session or thread. The same code
    runs, and each restart saves the time of the import.
    """

    def __init__(self, start: str, workload: str, data_dir: str, save_dir: Path, log: Path) -> None:
        self.save_dir = save_dir
        self.code: int | None = None
        if start == "spawn":
            script = Path(__file__).parent / "torture.py"
            words = [sys.executable, str(script), f"--child={save_dir}", f"--data_dir={data_dir}"]
            with log.open("ab") as out:
                self.pid = subprocess.Popen(
                    [*words, f"--workloads={workload}"], stdout=out, stderr=out
                ).pid
            return
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                with log.open("ab") as out:
                    os.dup2(out.fileno(), 1)
                    os.dup2(out.fileno(), 2)
                train(workload, data_dir, save_dir)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)  # the caller's code must not run twice

    def is_running(self) -> bool:
        """Return whether the process is still running."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is None

    def wait(self) -> int:
        """Wait for the end of the process; return its exit code."""
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code

    def kill_at(self, aim: str, delay_secs: float) -> bool:
        """Kill the process after the event that `aim` names and a delay.

        Returns:
            False if the process ended before that.
        """
        first_size: list[int] = []
        while self.is_running() and not has_begun(aim, self.save_dir, first_size):
            time.sleep(POLL_SECS)
        deadline = time.monotonic() + delay_secs
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(min(POLL_SECS, delay_secs))
        if not self.is_running():
            return False
        os.kill(self.pid, signal.SIGKILL)
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code == -signal.SIGKILL


def has_begun(aim: str, save_dir: Path, first_size: list[int]) -> bool:
    """Return whether the event that `aim` names has come.

    Args:
        aim: one of AIMS.
        save_dir: the run directory.
        first_size: an empty list for the first call, and the same one for the next calls.
    """
    if aim == "saving":
        return (save_dir / ".saving").exists()
    if aim == "best":
        return (save_dir / "best" / ".saving").exists()
    if aim == "metrics":
        size = _size(save_dir / "metrics.jsonl")
        first_size.append(size)
        return size > first_size[0]
    return True


def delay_secs(aim: str, chance: random.Random, usual_secs: float) -> float:
    """Draw the seconds to wait after the event that `aim` names.

    Args:
        aim: one of AIMS.
        chance: source of the random delay.
        usual_secs: seconds that a process needs from its start until after a few checkpoints.
    """
    longest = {"any": usual_secs, "saving": 0.03, "best": 0.03, "metrics": 0.5}[aim]
    return chance.uniform(0, longest)


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
