"""Many image files to batches of a network's input, read ahead by threads in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.data.image_files.images import read_image, unwarned

CHUNK = 16  # files that a thread reads at a time: few enough to share out a short list
MOST_THREADS = 8
# Pillow opens a file under the interpreter's lock and decodes it without. Of files smaller than
# this opening is the larger part: threads that pass the lock to and fro take twice the CPU, and are
# no faster.
SMALL_BYTES = 8192


class ImageBatch(NamedTuple):
    """files: paths [n]. images: uint8 [n, height, width, channels]."""

    files: list[str]
    images: npt.NDArray[np.uint8]


class _Chunk(NamedTuple):
    files: list[str]
    images: list[npt.NDArray[np.uint8]]
    errors: list[DataError]


def read_images(
    paths: Iterable[str],
    image_shape: tuple[int, int, int],
    batch_size: int,
    on_bad: Callable[[DataError], None],
) -> Generator[ImageBatch, None, None]:
    """Read image files in their order.

    Threads decode about two batches ahead of what was asked for, while the caller computes; paths
    are taken from the iterable no faster than that.

    Args:
        paths: of files of any size and mode; see `load_image`.
        image_shape: (height, width, channels) of the network's input.
        batch_size: images a batch (>= 1).
        on_bad: called with the error of each file that cannot be read, in the caller's thread; the
            file is then left out. It may raise.

    Returns:
        batches of batch_size images, the last one of fewer; none is empty.
    """
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    most_ahead = max(2 * threads, -(-2 * batch_size // CHUNK))
    paths = iter(paths)
    ahead: deque[Future[_Chunk]] = deque()
    files: list[str] = []
    images: list[npt.NDArray[np.uint8]] = []
    lock = Lock()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="image-reader")
    try:
        while True:
            while len(ahead) < most_ahead and (some := list(islice(paths, CHUNK))):
                ahead.append(pool.submit(_read_chunk, some, image_shape, lock))
            if not ahead:
                break
            chunk = ahead.popleft().result()
            for error in chunk.errors:
                on_bad(error)
            files += chunk.files
            images += chunk.images
            while len(files) >= batch_size:
                yield ImageBatch(files[:batch_size], np.stack(images[:batch_size]))
                del files[:batch_size], images[:batch_size]
        if files:
            yield ImageBatch(files, np.stack(images))
    finally:
        pool.shutdown(cancel_futures=True)


def _read_chunk(paths: list[str], image_shape: tuple[int, int, int], lock: Lock) -> _Chunk:
    """lock: held while small files are read, one thread at a time."""
    chunk = _Chunk([], [], [])
    turn: AbstractContextManager[object] = lock if _is_small(paths[0]) else nullcontext()
    with unwarned(), turn:
        for path in paths:
            try:
                chunk.images.append(read_image(path, image_shape))
                chunk.files.append(path)
            except DataError as error:
                chunk.errors.append(error)
    return chunk


def _is_small(path: str) -> bool:
    try:
        return os.stat(path).st_size < SMALL_BYTES
    except (OSError, ValueError):  # reading it will say what is wrong
        return True
