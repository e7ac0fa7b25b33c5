"""Signals: a run ends in order, or saves and goes on, when it is told to.

Before the training loop and in the other commands, SIGINT and SIGTERM leave at once, as an
exception. In the loop the first of them finishes the steps under way and saves; the second ends
the process on the spot, which does no harm, because every file is complete or absent.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# The terminal was closed: as SIGTERM, unless `nohup` has it ignored.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", None)]))
SAVE_SIGNAL = getattr(signal, "SIGUSR1", None)

Handler = Callable[[int, FrameType | None], None]


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to leave.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise `Interrupted` at the first stop signal, and let the second end the process.

    A request to save comes to nothing, where its default would end the process.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        _restore_defaults()
        raise Interrupted(number)

    with _handling(leave, signal.SIG_IGN):
        yield


@contextmanager
def signals_deferred(stop: Callable[[int, str], None], save: Callable[[], None]) -> Iterator[None]:
    """Call `stop(number, name)` at the first stop signal, and `save()` at each SIGUSR1.

    After the first, the operating system itself ends the process at the second, so that not even a
    long session run delays it.
    """

    def receive(number: int, _frame: FrameType | None) -> None:
        _restore_defaults()
        stop(number, signal.Signals(number).name)

    with _handling(receive, lambda _number, _frame: save()):
        yield


@contextmanager
def _handling(stop: Handler, save: Handler | signal.Handlers) -> Iterator[None]:
    """Handle the signals inside the block, and as before after it.

    Only a process's main thread can receive signals; in another the block just runs.
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


def _restore_defaults() -> None:
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
