"""Reads each picture once, for `cnnlab data check`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from cnnlab.base.errors import DataError
from cnnlab.base.printing import is_quiet
from cnnlab.data.folders.found import Found
from cnnlab.data.folders.similar import difference_hash
from cnnlab.data.image_files.headers import read_header
from cnnlab.data.image_files.images import FORMATS, read_image, unwarned

_SIDE: Final = 64  # pixels of the small version that is looked at
_SAME: Final = 2  # levels of 255: what JPEG makes of one colour


class Examined(NamedTuple):
    """What is known of one picture.

    found: where it is.
    error: why it cannot be read; empty: it can, and the other facts are known.
    width, height: pixels, upright.
    mode, format: as Pillow names them.
    frames: the number of frames or pages.
    is_plain: whether it has one colour only.
    content: SHA-256 of the file.
    look: the difference hash.
    """

    found: Found
    error: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    frames: int = 1
    is_plain: bool = False
    content: bytes = b""
    look: npt.NDArray[np.bool_] | None = None


def examine(pictures: Sequence[Found]) -> list[Examined]:
    """Return the facts about each picture, in order; several threads read."""
    with unwarned(), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        quiet = True if is_quiet() else None
        return list(
            tqdm(
                pool.map(_examine, pictures),
                "reading",
                len(pictures),
                leave=False,
                delay=2,
                disable=quiet,
                unit=" pictures",
            )
        )


def _examine(found: Found) -> Examined:
    try:
        small = read_image(found.path, (_SIDE, _SIDE, 3))
        header = read_header(found.path)
        with open(found.path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        frames = 1
        if header.format in ("GIF", "TIFF", "WEBP", "PNG"):
            with Image.open(found.path, formats=FORMATS) as image:
                frames = int(getattr(image, "n_frames", 1))
    except (DataError, OSError) as error:
        return Examined(found, str(error))
    is_plain = int(np.ptp(small.astype(int), axis=(0, 1)).max()) <= _SAME
    facts = (header.width, header.height, header.mode, header.format, frames)
    return Examined(found, "", *facts, is_plain, content, difference_hash(small))
