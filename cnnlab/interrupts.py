"""SIGINT and SIGTERM end a run in order: finish the steps under way, save, leave."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping_on_signals(stop: Callable[[int, str], None]) -> Iterator[None]:
    """Call `stop(number, name)` at the first signal; let the second one end the process at once.

    Only a process's main thread can receive signals; in another the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def receive(number: int, _frame: FrameType | None) -> None:
        if received:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received.append(number)
        stop(number, signal.Signals(number).name)

    received: list[int] = []
    earlier = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
