"""Reads many image files into batches of network inputs, prefetched by threads."""

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
from cnnlab.data.image_files.images import AS_STRETCHED, read_image, unwarned
from cnnlab.data.image_files.resizing import Resizing

CHUNK = 16  # files per task of a thread; small, so that all threads share a short list
MOST_THREADS = 8
# Pillow holds the interpreter's lock while it opens a file, but not while it decodes it. Below this
# size, opening takes longer than decoding, so several threads use more CPU time and gain nothing.
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
    resizing: Resizing = AS_STRETCHED,
) -> Generator[ImageBatch, None, None]:
    """Yield batches of images in the order of their paths.

    While the caller computes, threads prefetch about two batches. Paths are taken from the iterable
    only as fast as that.

    Args:
        paths: image files of any size and mode; see `load_image`.
        image_shape: (height, width, channels) of the network's input.
        batch_size: images per batch (>= 1).
        on_bad: called in the caller's thread with the error of each file that cannot be read. The
            file is then skipped, unless `on_bad` raises.
        resizing: how images of another size are resized.

    Returns:
        batches of batch_size images; the last one may have fewer. No batch is empty.
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
                ahead.append(pool.submit(_read_chunk, some, image_shape, resizing, lock))
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


def _read_chunk(
    paths: list[str], image_shape: tuple[int, int, int], resizing: Resizing, lock: Lock
) -> _Chunk:
    """Read some files. The lock lets only one thread at a time read small files."""
    chunk = _Chunk([], [], [])
    turn: AbstractContextManager[object] = lock if _is_small(paths[0]) else nullcontext()
    with unwarned(), turn:
        for path in paths:
            try:
                chunk.images.append(read_image(path, image_shape, resizing))
                chunk.files.append(path)
            except DataError as error:
                chunk.errors.append(error)
    return chunk


def _is_small(path: str) -> bool:
    try:
        return os.stat(path).st_size < SMALL_BYTES
    except (OSError, ValueError):  # `read_image` reports the error
        return True
