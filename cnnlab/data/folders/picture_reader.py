"""Reads pictures by their rows: decoded into memory, from a cache on disk, or from their files."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError, DataError
from cnnlab.base.printing import is_quiet, print_lines
from cnnlab.config.config import Config
from cnnlab.data.folders.contents import BAD, GOOD, UNKNOWN, Contents, in_groups
from cnnlab.data.folders.found import CACHE_FOLDER, Found
from cnnlab.data.folders.pixel_cache import cache_path, open_cache, write_cache
from cnnlab.data.image_files.images import read_image, unwarned
from cnnlab.data.image_files.resizing import Resizing
from cnnlab.data.row_images import Read

_BAR_AFTER_SECS: Final = 2
_DECODED_AT_A_TIME: Final = 16  # by one thread
_BLOCK_BYTES: Final = 2**25  # of pixels that are decoded at a time, where they are not kept


class PictureReader:
    """Reads the images of a list of pictures.

    Attributes:
        bad: row to error of each picture that cannot be read, as far as it is known.
        films: the files with several frames among those that were decoded.
    """

    def __init__(
        self,
        config: Config,
        found: Sequence[Found],
        image_shape: tuple[int, int, int],
        bad: dict[int, DataError],
    ) -> None:
        """Prepare to read.

        Args:
            config: says how to resize, what to do with bad files, and where the cache is.
            found: the pictures. Their index is their row.
            image_shape: (height, width, channels) of the images.
            bad: see the class.
        """
        self._config, self._found, self._shape, self.bad = config, found, image_shape, bad
        self.films: set[str] = set()
        self._resizing = Resizing.of(config)
        self._threads = len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="pictures")
        kind, _, path = config.dataset.partition(":")
        beside = Path(path) if kind == "folder" else Path(path).parent
        self._folder = Path(config.cache_dir) if config.cache_dir else beside / CACHE_FOLDER
        name = hashlib.blake2b(config.dataset.encode("utf-8", "surrogateescape"), digest_size=8)
        self._index = self._folder / f"{name.hexdigest()}.npz"

    def decode(self, row: int) -> npt.NDArray[np.uint8]:
        """Return the image of a row, uint8 [height, width, channels], inside an `unwarned` block.

        Raises:
            DataError: the file is missing or cannot be read.
        """
        return read_image(self._found[row].path, self._shape, self._resizing, self.films)

    @cached_property
    def contents(self) -> Contents:
        """Digests of all files; the first use reads those that are new or have changed."""
        index = None if self._config.cache == "memory" else self._index
        paths = [one.path for one in self._found]
        return Contents(paths, index, self._pool, lambda work: _shown(work, "comparing files"))

    def load(self, rows: Sequence[int], what: str) -> npt.NDArray[np.uint8]:
        """Decode pictures into memory, and return the images of those that can be read.

        Args:
            rows: the rows, [n].
            what: the name of the rows on the progress bar.

        Raises:
            DataError: a picture cannot be read, and such pictures are not to be skipped.
        """
        chosen = np.array(rows, np.int64)
        images = self._decode_many(chosen, f"reading {what}")
        is_good = np.array([row not in self.bad for row in rows], bool)
        return images if is_good.all() else images[is_good]

    def read_from_cache(self) -> Read:
        """Return a function that reads rows from the cache on disk, which is written if missing.

        Raises:
            DataError: see `load`.
            CnnlabError: the cache cannot be written.
        """
        shape = (len(self._found), *self._shape)
        path = cache_path(self._folder, self.contents.digests, self._shape, tuple(self._resizing))
        pixels = open_cache(path, shape)
        if pixels is None or (self.contents.states == UNKNOWN).any():
            write_cache(path, shape, self._check, lambda work: _shown(work, "caching", "block"))
            self._remember()
            pixels = open_cache(path, shape)
        assert pixels is not None
        self._learn_bad()
        return pixels.__getitem__

    def read_from_files(self) -> Read:
        """Return a function that decodes rows; first decode once all that never were.

        Raises:
            DataError: see `load`. The function raises it, too, for a file that has changed.
        """
        new = np.flatnonzero(self.contents.states == UNKNOWN)
        most = max(1, _BLOCK_BYTES // math.prod(self._shape))
        for start in _shown(range(0, len(new), most), "checking files", "block"):
            self._check(new[start : start + most])
        if len(new):
            self._remember()
        self._learn_bad()

        def read(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
            for row in rows:
                self.contents.check_unchanged(row)
            images = self._decode_many(rows)
            for row in rows:
                if row in self.bad:
                    raise self.bad[row]
            return images

        return read

    def _check(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Decode rows, and note in `contents` which of them can be decoded."""
        images = self._decode_many(rows)
        self.contents.states[rows] = [BAD if row in self.bad else GOOD for row in rows.tolist()]
        return images

    def _learn_bad(self) -> None:
        """Decode the pictures that are known to be bad, for their errors."""
        bad = np.flatnonzero(self.contents.states == BAD)
        self._decode_many(bad[[row not in self.bad for row in bad.tolist()]])

    def _remember(self) -> None:
        try:
            self.contents.remember()
        except (OSError, CnnlabError) as error:
            note = f"note: all pictures will be compared again when a run starts: {error}"
            print_lines(note, to_stderr=True)

    def _decode_many(
        self, rows: npt.NDArray[np.int64], what: str | None = None
    ) -> npt.NDArray[np.uint8]:
        """Decode rows with several threads; those that cannot be read stay black, and are noted."""
        images = np.zeros((len(rows), *self._shape), np.uint8)

        def fill(place: int) -> DataError | None:
            try:
                images[place] = self.decode(rows[place])
            except DataError as error:
                return error
            return None

        with unwarned():
            # So few at a time that all threads have work to do with the rows of a batch, too.
            size = min(_DECODED_AT_A_TIME, 1 + len(rows) // (4 * self._threads))
            errors: Iterable[Any] = in_groups(self._pool, fill, range(len(rows)), size)
            for row, error in zip(
                rows.tolist(), _shown(errors, what, "picture", len(rows)), strict=True
            ):
                if error is not None:
                    refuse_if_asked(error, self._config)
                    self.bad[row] = error
        return images


def refuse_if_asked(error: DataError, config: Config) -> None:
    """Raise the error of a picture, unless such pictures are to be skipped."""
    if config.bad_files == "error":
        raise DataError(
            f"{error}; replace or remove it, or leave such files out with --bad_files=skip"
        )


def _shown(
    work: Iterable[Any], what: str | None, unit: str = "picture", total: int | None = None
) -> Iterable[Any]:
    """Return the work with a progress bar, which appears only if it takes long."""
    if what is None:
        return work
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(
        work,
        what,
        total,
        leave=False,
        delay=_BAR_AFTER_SECS,
        disable=True if is_quiet() else None,
        unit=f" {unit}s",
    )
    return bar
