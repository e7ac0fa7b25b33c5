"""SIGINT and SIGTERM end a run after it is saved."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cnnlab.base.signals import signals_deferred
from tests import commands


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_calls_stop(number: signal.Signals) -> None:
    received = []
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with signals_deferred(lambda *given: received.append(given), lambda: None):
        os.kill(os.getpid(), number)
    assert received == [(int(number), number.name)]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError), signals_deferred(lambda *_: None, lambda: None):
        raise RuntimeError
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process(second: signal.Signals, tmp_path: Path) -> None:
    script = (
        "import os, signal\nfrom cnnlab.base.signals import signals_deferred\n"
        "with signals_deferred(lambda number, name: print(name, flush=True), lambda: None):\n"
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
        with signals_deferred(lambda *_: None, lambda: None):
            ran.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [signal.getsignal(signal.SIGTERM)]


def test_while_a_command_is_imported_an_interrupt_leaves_quietly(tmp_path: Path) -> None:
    """The signal arrives while the command imports a module; a slow fake one is used here."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "fire.py").write_text(
        "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(100)\n"
    )
    path = f"{modules}{os.pathsep}{commands.ROOT}"
    # A shell starts background jobs with SIGINT ignored, and their child processes inherit that.
    # These tests may run in a background job, so make sure that the command does not ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = commands.start("cnnlab.train", cwd=tmp_path, PYTHONPATH=path)
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not (tmp_path / "importing").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (-signal.SIGINT, "")


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(commands.ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("context", ["signals_raised()", "signals_deferred(print, print)"])
def test_two_signals_at_once_print_nothing(context: str) -> None:
    # Python handles both at once, in the order of their numbers, after they are unblocked.
    done = run_script(
        "import os, signal, time\nfrom cnnlab.base.signals import *\n"
        f"with {context}:\n"
        "    both = [signal.SIGINT, signal.SIGTERM]\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, both)\n"
        "    for number in both:\n"
        "        os.kill(os.getpid(), number)\n"
        "    signal.pthread_sigmask(signal.SIG_UNBLOCK, both)\n"
        "    time.sleep(5)\n"
    )
    assert "race condition" not in done.stderr
    assert done.returncode in (-signal.SIGINT, -signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_an_import_arrives_after_it(number: signal.Signals) -> None:
    done = run_script(
        "import os, sys\nfrom cnnlab.base import tf1\nfrom cnnlab.base.signals import *\n"
        "class Sender:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'tensorflow.python.framework.ops':\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Sender())\n"
        "try:\n"
        "    with signals_raised():\n"
        "        tf1.tf.float32\n"
        "except Interrupted as error:\n"
        "    print(error.number, 'tensorflow.python.framework.ops' in sys.modules)\n"
    )
    assert done.stdout == f"{int(number)} True\n", done.stderr


def test_a_command_ignores_sigusr1_from_its_start(tmp_path: Path) -> None:
    script = "import os, signal, cnnlab; os.kill(os.getpid(), signal.SIGUSR1); print('alive')"
    (tmp_path / "cnnlab").write_text(script)
    with commands.start_python(str(tmp_path / "cnnlab"), cwd=tmp_path) as process:
        assert process.communicate(timeout=60)[0] == "alive\n"
