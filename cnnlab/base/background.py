"""Work on a second thread, so that the main thread does not wait for the disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """Runs one job at a time on a second thread.

    An exception of the job is raised once, by the next call of `start`, `wait` or `check` that
    finds the job done.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._work: Future[None] | None = None

    def start(self, *parts: Callable[[], None]) -> None:
        """Wait for the job before, then start this one and return.

        Args:
            *parts: the functions to call, one after the other.

        Raises:
            Exception: whatever the job before raised.
        """
        self.wait()
        self._work = self._thread.submit(_do_all, parts)

    def wait(self) -> None:
        """Wait until the current job is done, if there is one.

        Raises:
            Exception: whatever the job raised.
        """
        work, self._work = self._work, None
        if work is not None:
            work.result()

    def check(self) -> None:
        """Raise the exception of a finished job, without waiting for a running one.

        Raises:
            Exception: whatever the job raised.
        """
        if self._work is not None and self._work.done():
            self.wait()


def _do_all(parts: tuple[Callable[[], None], ...]) -> None:
    for part in parts:
        part()
