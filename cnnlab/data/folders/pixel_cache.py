"""The cache on disk: the decoded pixels of all pictures in one file, mapped into memory.

Its name depends on the contents of the pictures and on how they are resized. So pictures that have
changed get another file. The file is complete or not there.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.base.files import replacing, translate_os_errors

_VERSION: Final = "2"  # of how pictures are decoded
_BLOCK_BYTES: Final = 2**25
_GIB: Final = 2**30
_CURE: Final = "choose another --cache_dir, a smaller --image_size, or --cache=none"


def cache_path(
    folder: Path, digests: npt.NDArray[np.uint8], image_shape: tuple[int, int, int], resizing: Any
) -> Path:
    """Return the path of the cache of some pictures.

    Args:
        folder: the folder of the caches.
        digests: uint8 [n, ...], of the pictures' contents, in their order.
        image_shape: (height, width, channels).
        resizing: how the pictures are resized; its text counts.
    """
    key = hashlib.blake2b(digests.tobytes(), digest_size=16)
    key.update(f"{_VERSION} {image_shape} {resizing}".encode())
    return folder / f"{key.hexdigest()}.pixels"


def open_cache(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8] | None:
    """Return the pixels of a cache, uint8 of `shape`, read from disk when used; None: not there."""
    if not path.is_file() or path.stat().st_size != math.prod(shape):
        return None
    return np.memmap(path, np.uint8, "r", shape=shape)


def write_cache(
    path: Path,
    shape: tuple[int, ...],
    decode: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint8]],
    shown: Callable[[Iterable[Any]], Iterable[Any]],
) -> None:
    """Decode all pictures into a cache.

    Args:
        path: see `cache_path`.
        shape: (n, height, width, channels).
        decode: function from rows, int64 [k], to their pixels.
        shown: function that shows progress over the blocks.

    Raises:
        DataError: the disk has too little space.
        CnnlabError: the disk is full, or the folder cannot be written.
    """
    needed, most = math.prod(shape), max(1, _BLOCK_BYTES // math.prod(shape[1:]))
    with translate_os_errors(path, _CURE):
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DataError(
            f"the cache of {shape[0]} pictures needs {needed / _GIB:.1f} GiB, but {path.parent} "
            f"has {free / _GIB:.1f} GiB left; {_CURE}"
        )
    with replacing(path, _CURE) as file:
        for start in shown(range(0, shape[0], most)):
            file.write(decode(np.arange(start, min(start + most, shape[0]))).data)
