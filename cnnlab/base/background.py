"""Work for a thread of its own, where the main one is not to wait for the disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """One piece of work at a time; what it raises is raised where it is asked after."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._work: Future[None] | None = None

    def start(self, *parts: Callable[[], None]) -> None:
        """Begin with this, part after part, when what was begun before is done."""
        self.wait()
        self._work = self._thread.submit(_do_all, parts)

    def wait(self) -> None:
        """Wait until it is done, if there is anything; raises what the work raised."""
        work, self._work = self._work, None
        if work is not None:
            work.result()

    def check(self) -> None:
        """Raise what the work raised, if it is done; wait for nothing."""
        if self._work is not None and self._work.done():
            self.wait()


def _do_all(parts: tuple[Callable[[], None], ...]) -> None:
    for part in parts:
        part()
