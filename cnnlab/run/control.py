"""Control: whether a run must stop or save, and the lines that it prints about it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from contextlib import AbstractContextManager

from cnnlab.base.printing import is_quiet, print_above_bars
from cnnlab.base.signals import signals_deferred
from cnnlab.base.words import worded
from cnnlab.config import cli


class Control:
    """The switches of a training run: hooks and signals set them, and the loop obeys them.

    Attributes:
        is_stopping: whether the loop ends after the current session run.
        stop_signal: number of the signal that asked the run to stop; None: no signal did.
        is_save_requested: whether SIGUSR1 asked for a checkpoint.
    """

    def __init__(self) -> None:
        self.is_stopping, self.is_save_requested = False, False
        self.stop_signal: int | None = None

    @property
    def is_interrupted(self) -> bool:
        """True if a signal asked the run to stop."""
        return self.stop_signal is not None

    def stop(self, reason: str) -> None:
        """End the training loop after the current session run; the run is then saved."""
        self.is_stopping = True
        self.say(f"stopping: {reason}")

    def say(self, text: str) -> None:
        """Print a line of progress on stderr, above the progress bar if there is one.

        Options are named as in errors; see `cnnlab.base.words`. If stderr is a pipe that nobody
        reads any more, the run stops as it does on a signal.
        """
        try:
            print_above_bars(worded(text))
        except BrokenPipeError:
            cli.silence(sys.stderr)
            self.is_stopping, self.stop_signal = True, signal.SIGPIPE

    def deferring_signals(self) -> AbstractContextManager[None]:
        """Return a context in which signals set the switches instead of ending the process."""
        return signals_deferred(self._stop_on_signal, self._request_save)

    def _stop_on_signal(self, number: int, name: str) -> None:
        self.is_stopping, self.stop_signal = True, number
        if is_quiet():
            return
        # say() is not safe here: the signal may have interrupted it in the middle of a line.
        with contextlib.suppress(OSError):
            os.write(2, f"stopping: {name}; saving (once more to leave at once)\n".encode())

    def _request_save(self) -> None:
        self.is_save_requested = True
