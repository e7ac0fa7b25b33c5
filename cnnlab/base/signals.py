"""Signals: how Ctrl-C and `kill` stop a process, and how SIGUSR1 saves a run.

Outside the training loop, the first SIGINT or SIGTERM raises an exception at once. Inside the loop
the first one lets the current session run finish and saves a checkpoint. The second one always ends
the process immediately. That does no harm, because every file is complete or absent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# A closed terminal sends SIGHUP. It counts as SIGTERM, unless `nohup` made the process ignore it.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", None)]))
SAVE_SIGNAL = getattr(signal, "SIGUSR1", None)

Handler = Callable[[int, FrameType | None], None]


class Interrupted(KeyboardInterrupt):
    """A signal that asks the process to stop.

    Attributes:
        number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise `Interrupted` at the first stop signal; let the second one end the process.

    SIGUSR1 is ignored, because its default action would end the process.

    Raises:
        Interrupted: a stop signal arrived inside the block.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        _let_the_next_one_end()
        raise Interrupted(number)

    with _handling(leave, signal.SIG_IGN):
        yield


@contextmanager
def signals_deferred(stop: Callable[[int, str], None], save: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first stop signal, and `save` at each SIGUSR1, instead of raising.

    The second stop signal ends the process. The operating system does that itself, so even a long
    session run does not delay it.

    Args:
        stop: called with the number and the name of the signal.
        save: called without arguments.
    """

    def receive(number: int, _frame: FrameType | None) -> None:
        _let_the_next_one_end()
        stop(number, signal.Signals(number).name)

    with _handling(receive, lambda _number, _frame: save()):
        yield


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold the first stop signal and SIGUSR1 back until the end of the block.

    While C++ code is being imported, an exception of a handler would become another error. The
    second stop signal ends the process.
    """
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        _let_the_next_one_end()
        held.append(number)

    with _handling(hold, lambda number, _frame: held.append(number)):
        yield
    for number in held:
        signal.raise_signal(number)


@contextmanager
def _handling(stop: Handler, save: Handler | signal.Handlers) -> Iterator[None]:
    """Set the signal handlers for the block, then restore the earlier ones.

    Only the main thread of a process may set handlers. In any other thread the block simply runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {}
    for number in STOP_SIGNALS:
        if number in (signal.SIGINT, signal.SIGTERM) or (
            signal.getsignal(number) is not signal.SIG_IGN
        ):
            earlier[number] = signal.signal(number, stop)
    if SAVE_SIGNAL is not None:
        earlier[SAVE_SIGNAL] = signal.signal(SAVE_SIGNAL, save)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _let_the_next_one_end() -> None:
    """Let the operating system end the process at the next stop signal, without Python.

    A signal may have arrived already that Python has not handled yet. So Python keeps a handler for
    it: without one, Python would print that the signal was "ignored due to race condition".
    """
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
            _set_default_in_c(number)


def _end(number: int, _frame: FrameType | None) -> None:
    _set_default_in_c(number)
    os.kill(os.getpid(), number)


def _set_default_in_c(number: int) -> None:
    ctypes.CDLL(None).signal(number, ctypes.c_void_p(int(signal.SIG_DFL)))
