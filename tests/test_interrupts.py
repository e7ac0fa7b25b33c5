"""SIGINT and SIGTERM end a run in order."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cnnlab.interrupts import stopping_on_signals
from tests import commands


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_calls_stop(number: signal.Signals) -> None:
    received = []
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with stopping_on_signals(lambda *given: received.append(given), lambda: None):
        os.kill(os.getpid(), number)
    assert received == [(int(number), number.name)]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError), stopping_on_signals(lambda *_: None, lambda: None):
        raise RuntimeError
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process(second: signal.Signals, tmp_path: Path) -> None:
    script = (
        "import os, signal\nfrom cnnlab.interrupts import stopping_on_signals\n"
        "with stopping_on_signals(lambda number, name: print(name, flush=True), lambda: None):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        f"    os.kill(os.getpid(), {int(second)})\n"
        "    print('still here', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(commands.ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -second
    assert done.stdout == "SIGTERM\n"


def test_another_thread_just_runs() -> None:
    ran = []

    def work() -> None:
        with stopping_on_signals(lambda *_: None, lambda: None):
            ran.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [signal.getsignal(signal.SIGTERM)]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_while_a_command_is_imported_an_interrupt_leaves_quietly(tmp_path: Path) -> None:
    process = commands.start("cnnlab.train", "--dataset=shapes", cwd=tmp_path)
    status = Path(f"/proc/{process.pid}/status")

    def catches_interrupts() -> bool:
        caught = status.read_text().split("SigCgt:\t")[1].split("\n")[0]
        return bool(int(caught, 16) & 1 << signal.SIGINT - 1)

    deadline = time.monotonic() + 30
    while not catches_interrupts() and time.monotonic() < deadline:
        pass  # Python itself starts
    while catches_interrupts() and time.monotonic() < deadline:
        pass  # until the package is reached
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    # On a busy machine the signal may come when the command has taken signals over.
    assert (process.returncode, stderr) in (
        (-signal.SIGINT, ""),
        (128 + signal.SIGINT, "error: interrupted by SIGINT\n"),
    )
    assert not list(tmp_path.iterdir())
