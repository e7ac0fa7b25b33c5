"""A watchdog over TensorFlow: its call to a chief that is gone does not end at the timeout.

The workers form a group by a call to the chief. If the chief has died before that call, or never
started, TensorFlow waits for it without end, and no timeout or signal reaches the waiting thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

from cnnlab.base.printing import print_error

GRACE_SECS: Final = 5.0  # for TensorFlow to end the call itself, as it does nearly always


class Watchdog:
    """Ends this process if a call that it was informed of takes much longer than its timeout."""

    def __init__(
        self, reason: Callable[[str], str], exit_code: int, poll_secs: float = 1.0
    ) -> None:
        """Start the thread.

        Args:
            reason: function from what the call does to the line of the error.
            exit_code: with which this process ends.
            poll_secs: seconds between two looks.
        """
        self._reason, self._exit_code, self._poll_secs = reason, exit_code, poll_secs
        self._call: tuple[float, str] | None = None
        self._is_closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="watchdog").start()

    def begin(self, what: str, timeout_secs: float) -> None:
        """Begin to watch a call.

        Args:
            what: what the call does.
            timeout_secs: seconds after which TensorFlow should end it.
        """
        self._call = (time.monotonic() + timeout_secs + GRACE_SECS, what)

    def end(self) -> None:
        """Note that the call has returned or failed."""
        self._call = None

    def close(self) -> None:
        """End the thread."""
        self._is_closed.set()

    def _watch(self) -> None:
        while not self._is_closed.wait(self._poll_secs):
            call = self._call
            if call is None or time.monotonic() < call[0]:
                continue
            reason = self._reason(call[1])  # asks the other workers, which takes seconds
            if self._call is call:
                print_error(f"error: {reason}")
                os._exit(self._exit_code)  # nothing can interrupt the main thread
