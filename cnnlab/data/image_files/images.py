"""Reads image files of any size and mode as network inputs."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from cnnlab.base.errors import DataError
from cnnlab.data.image_files.plain_png import decode_plain_png

# Pillow reads more formats, but EPS would run Ghostscript, and rare formats are less well tested.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
# All of these errors of Pillow mean a damaged file.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_SMALL_BYTES = 65_536  # in larger files, opening is a small part of the work
MAX_PIXELS = 50_000_000  # a larger file is refused before it is decoded


_quiet_lock = threading.Lock()
_quiet_readers = 0
_quiet_block = contextlib.ExitStack()


@contextlib.contextmanager
def unwarned() -> Iterator[None]:
    """Silence Pillow's warnings: about damage that it can repair, and about size, checked here.

    All threads share one list of warning filters. So the first thread that reads images changes
    the list, and the last one restores it.
    """
    global _quiet_readers
    with _quiet_lock:
        if not _quiet_readers:
            _quiet_block.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _quiet_readers += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_readers -= 1
            if not _quiet_readers:
                _quiet_block.close()


def load_image(path: str | Path, image_shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Read an image file and convert it to the network's input shape.

    The image is rotated upright by its EXIF tag. Transparent parts become white. It is converted to
    grey or RGB, and resized without keeping its aspect ratio (bicubic, with antialiasing). 16-bit
    grey is scaled to 8 bits. Of several frames or pages only the first is read. The pixels of an
    image that already has the right size and mode do not change.

    Args:
        path: a file of one of FORMATS.
        image_shape: (height, width, channels), channels 1 or 3.

    Returns:
        uint8 [height, width, channels], range [0, 255].

    Raises:
        DataError: the file is missing, too large, damaged or not an image.
    """
    with unwarned():
        return read_image(path, image_shape)


def read_image(path: str | Path, image_shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Read an image as `load_image` does, but inside a caller's `unwarned` block."""
    height, width, channels = image_shape
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block
            raise DataError(f"{path} is not a regular file")
        if status.st_size <= _SMALL_BYTES:
            pixels = decode_plain_png(_content(path), image_shape)
            if pixels is not None:
                return pixels
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{path} has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}; "
                    "make it smaller"
                )
            plain = _plain(image, "L" if channels == 1 else "RGB")
            if plain.size != (width, height):
                plain = plain.resize((width, height), Image.Resampling.BICUBIC)
            pixels = np.frombuffer(plain.tobytes(), np.uint8)  # faster than np.array
    except FileNotFoundError:
        raise DataError(f"no image file {path}") from None
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(
            f"{path} is not an image that can be read; the formats are {', '.join(FORMATS)}"
        ) from None
    except _DAMAGE as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from error
    return pixels.reshape(image_shape).copy()


def _content(path: str | Path) -> bytes:
    """Return at most _SMALL_BYTES of the file; this is faster than `open`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, _SMALL_BYTES)
    finally:
        os.close(descriptor)


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """Return the image upright, opaque, and in mode L or RGB."""
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16") or image.mode == "I":
        wide = np.clip(np.asarray(image, np.int64), 0, 65_535)
        image = Image.fromarray(((wide + 128) // 257).astype(np.uint8))  # 65,535 is 257 x 255
    if "A" in image.getbands() or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)
