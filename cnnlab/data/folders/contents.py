"""The contents of picture files: a digest of each, so that changed pictures are noticed.

An index file remembers them, with size and time of change of each file. A file whose size and time
are the same is not read again.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.base.files import write_atomically

DIGEST_BYTES: Final = 16
UNKNOWN, GOOD, BAD = 0, 1, 2
_PIECE_BYTES: Final = 2**20
_DIGESTS_AT_A_TIME: Final = 64
Shown = Callable[[Iterable[Any]], Iterable[Any]]


class Contents:
    """What is known of each file, by its place in the list of paths.

    Attributes:
        digests: uint8 [n, DIGEST_BYTES], of the files' bytes.
        states: uint8 [n], UNKNOWN, GOOD or BAD: whether the file could be decoded.
    """

    def __init__(
        self, paths: Sequence[str], index: Path | None, pool: Executor, shown: Shown
    ) -> None:
        """Read the files that the index does not know.

        Args:
            paths: the files.
            index: the index file, which need not be there; None: use none.
            pool: threads that read.
            shown: function that shows progress over the files that are read.

        Raises:
            DataError: a file is missing or cannot be read.
        """
        self._paths, self._index = paths, index
        self._stats = np.array([_stat_of(path) for path in paths], np.int64).reshape(-1, 2)
        self.digests = np.zeros((len(paths), DIGEST_BYTES), np.uint8)
        self.states = np.zeros(len(paths), np.uint8)
        new = np.flatnonzero(~self._recall()).tolist()
        if new:
            found = in_groups(pool, _digest_of, [paths[place] for place in new], _DIGESTS_AT_A_TIME)
            for place, digest in zip(new, shown(found), strict=True):
                self.digests[place] = np.frombuffer(digest, np.uint8)

    def check_unchanged(self, place: int) -> None:
        """Raise DataError if a file is not as it was when the contents were read."""
        path = self._paths[place]
        if _stat_of(path) != tuple(self._stats[place]):
            raise DataError(
                f"{path} has changed since the run began; start again, so that all steps see the "
                "same picture"
            )

    def remember(self) -> None:
        """Write the index.

        Raises:
            OSError: it cannot be written.
        """
        if self._index is None:
            return
        content = io.BytesIO()
        names = np.frombuffer("\0".join(self._paths).encode("utf-8", "surrogateescape"), np.uint8)
        np.savez(content, names=names, stats=self._stats, digests=self.digests, states=self.states)
        self._index.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._index, content.getvalue())

    def _recall(self) -> npt.NDArray[np.bool_]:
        """Take what the index knows of files that have not changed; return for which it does."""
        known = np.zeros(len(self._paths), bool)
        if self._index is None or not self._index.is_file():
            return known
        try:
            with np.load(self._index) as file:
                then = {name: file[name] for name in ("names", "stats", "digests", "states")}
        except (OSError, ValueError, KeyError, EOFError):  # damaged: as if it were not there
            return known
        names = then["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
        places = {name: place for place, name in enumerate(names)}
        there = np.array([places.get(path, -1) for path in self._paths], np.int64)
        known = (there >= 0) & (then["stats"][there] == self._stats).all(axis=1)
        self.digests[known] = then["digests"][there[known]]
        self.states[known] = then["states"][there[known]]
        return known


def in_groups(
    pool: Executor, function: Callable[[Any], Any], work: Sequence[Any], size: int
) -> Iterator[Any]:
    """Yield the results of a function, in order; each task of the pool does several.

    A task for each of a million files would take gigabytes and most of the time.

    Args:
        pool: threads.
        function: called with each element of `work`.
        work: the arguments.
        size: number of elements (>= 1) of a task.
    """
    groups = [work[start : start + size] for start in range(0, len(work), size)]
    for results in pool.map(lambda group: [function(one) for one in group], groups):
        yield from results


def _stat_of(path: str) -> tuple[int, int]:
    """Return size and time of change, in nanoseconds."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return found.st_size, found.st_mtime_ns


def _digest_of(path: str) -> bytes:
    total = hashlib.blake2b(digest_size=DIGEST_BYTES)
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                total.update(piece)
    except OSError as error:
        raise _unreadable(path, error) from error
    return total.digest()


def _unreadable(path: str, error: OSError) -> DataError:
    return DataError(
        f"{path} cannot be read: {error.strerror}; bring it back, or check its permissions, and "
        "the same command goes on"
    )
