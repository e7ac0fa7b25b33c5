"""Launch: several workers of one run, as processes on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Final

from cnnlab.base.printing import print_error
from cnnlab.base.safe_text import for_terminal
from cnnlab.base.signals import SAVE_SIGNAL, STOP_SIGNALS
from cnnlab.run.cluster.launcher import TRY_AGAIN, environment_of, pipe_to_workers

SIGNALS: Final = 128  # exit codes above this one name a signal
GRACE_SECS: Final = 10.0  # for the others to name a lost worker and to save
LONGEST_SAVE_SECS: Final = 60.0


def launch(command: Sequence[str], workers: int, restarts: int = 0) -> int:
    """Start workers on this machine; return the exit code of the first one that failed, or 0.

    If one ends with an error, all others are ended. A worker that was killed, or that lost another
    one, is a reason to start all again. A worker that a signal has asked to stop is not: all save
    and stop, with 128 and the signal's number. If this process is killed, all workers end.

    Args:
        command: the words after `cnnlab`, as ["train", "--steps=100"].
        workers: number of processes (>= 1).
        restarts: how often all workers are started again (>= 0).
    """
    for left in range(restarts, -1, -1):
        code, is_lost = _run(command, workers)
        if not is_lost:
            return code
        if left:
            print_error(f"launch: exit code {code}; starting all workers again, {left} times left")
    return code


def free_addresses(count: int) -> list[str]:
    """Return addresses of the loopback interface whose ports are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _run(command: Sequence[str], workers: int) -> tuple[int, bool]:
    """Run all workers once; return the exit code, and whether a worker was lost."""
    addresses = free_addresses(workers)
    processes: list[subprocess.Popen[bytes]] = []
    printers: list[threading.Thread] = []
    with pipe_to_workers() as inherited, _signals_passed_on(processes) as got:
        try:
            for worker in range(workers):
                if got:
                    break
                task = {"type": "worker", "index": worker}
                config = {"cluster": {"worker": addresses}, "task": task}
                own = {"TF_CONFIG": json.dumps(config), **environment_of(worker, inherited)}
                process = subprocess.Popen(
                    [sys.executable, "-m", "cnnlab", *command],
                    env={**os.environ, **own},
                    pass_fds=inherited,
                    stdin=subprocess.DEVNULL,
                    stdout=None if worker == 0 else subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C reaches a worker through this process, once
                )
                processes.append(process)
                printers.append(_print_lines(process.stderr, worker))
            code = _first_failure(processes)
            is_stopping = bool(got) or code > SIGNALS
            _end(processes, LONGEST_SAVE_SECS if is_stopping else GRACE_SECS)
        finally:
            for process in processes:
                process.kill()
                process.wait()
            for printer in printers:
                printer.join(timeout=1)
    if got and (code or len(processes) < workers):
        code = SIGNALS + got[0]
    return SIGNALS - code if code < 0 else code, not got and (code < 0 or code == TRY_AGAIN)


def _first_failure(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until all have ended or one has failed; return its exit code, 0 if none failed."""
    while True:
        codes = [process.poll() for process in processes]
        if failed := [code for code in codes if code]:
            # A killed worker is the cause; the others only say that it is lost.
            return next((code for code in failed if code != TRY_AGAIN), failed[0])
        if None not in codes:
            return 0
        time.sleep(0.05)


def _end(processes: Sequence[subprocess.Popen[bytes]], longest_secs: float) -> None:
    """Wait for the workers that are left; the caller ends those that take longer."""
    deadline = time.monotonic() + longest_secs
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)


@contextmanager
def _signals_passed_on(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    """Pass signals on to the workers inside the block; yield those that ask to stop.

    SIGUSR1, which saves a checkpoint, goes to the chief only.
    """
    got: list[int] = []

    def pass_on(number: int, _frame: Any) -> None:
        if number != SAVE_SIGNAL:
            got.append(number)
        for process in processes[: 1 if number == SAVE_SIGNAL else None]:
            if process.poll() is None:
                process.send_signal(number)

    numbers = [one for one in (*STOP_SIGNALS, SAVE_SIGNAL) if one is not None]
    before = {
        number: signal.signal(number, pass_on)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN or number == SAVE_SIGNAL
    }
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_lines(stream: IO[bytes] | None, worker: int) -> threading.Thread:
    """Print the lines of a worker on stderr, each behind its number."""
    assert stream is not None
    lines = stream

    def copy() -> None:
        for line in lines:
            # A progress bar writes several states in one line; the last one counts.
            text = line.decode(errors="replace").rstrip("\n").rpartition("\r")[2]
            if text.strip():
                print_error(f"[{worker}] {for_terminal(text)}")

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    return thread
