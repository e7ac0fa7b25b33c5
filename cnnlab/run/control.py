"""Control: whether a run is to stop or to save, and what it says about it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from contextlib import AbstractContextManager

from tqdm import tqdm

from cnnlab.base.signals import signals_deferred
from cnnlab.config import cli


class Control:
    """The switches of a training run. Hooks and signals set them; the loop obeys them.

    Attributes:
        is_stopping: whether the loop is to end after the current session run.
        stop_signal: number of the signal that asked the run to stop; None: there was none.
        is_save_requested: whether a checkpoint was asked for (SIGUSR1).
    """

    def __init__(self) -> None:
        self.is_stopping, self.is_save_requested = False, False
        self.stop_signal: int | None = None

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal asked the run to stop."""
        return self.stop_signal is not None

    def stop(self, reason: str) -> None:
        """End the training loop after the current session run; the run is then saved."""
        self.is_stopping = True
        self.say(f"stopping: {reason}")

    def say(self, text: str) -> None:
        """Print a line of progress on stderr, above the progress bar if there is one.

        If stderr is a pipe that nobody reads any more, the run stops as on a signal.
        """
        try:
            tqdm.write(text, file=sys.stderr)
        except BrokenPipeError:
            cli.silence(sys.stderr)
            self.is_stopping, self.stop_signal = True, signal.SIGPIPE

    def deferring_signals(self) -> AbstractContextManager[None]:
        """Return a context in which signals set the switches instead of ending the process."""
        return signals_deferred(self._stop_on_signal, self._request_save)

    def _stop_on_signal(self, number: int, name: str) -> None:
        self.is_stopping, self.stop_signal = True, number
        # Not by say(): the signal may have arrived in the middle of another line.
        with contextlib.suppress(OSError):
            os.write(2, f"stopping: {name}; saving (once more to leave at once)\n".encode())

    def _request_save(self) -> None:
        self.is_save_requested = True
