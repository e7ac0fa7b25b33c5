"""Signals: how Ctrl-C and `kill` stop a process, and how SIGUSR1 saves a run.

Outside the training loop, the first SIGINT or SIGTERM raises an exception at once. Inside the loop
the first one lets the current session run finish and saves a checkpoint. The second one always ends
the process immediately. That does no harm, because every file is complete or absent.
"""

from __future__ import annotations

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
        _restore_defaults()
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
        _restore_defaults()
        stop(number, signal.Signals(number).name)

    with _handling(receive, lambda _number, _frame: save()):
        yield


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


def _restore_defaults() -> None:
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
