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
from cnnlab.data.image_files.resizing import Resizing, Shrunk

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
AS_STRETCHED = Resizing()
_SMALL_BYTES = 65_536  # in larger files, opening is a small part of the work
MAX_PIXELS = 50_000_000  # a larger file is refused before it is decoded
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by the number of channels
ORIENTATION = 0x0112  # the EXIF tag
TURNED = (5, 6, 7, 8)  # its values that swap the sides
MIRRORED = ((2, 3, 6, 7), (3, 4, 7, 8))  # those after which the columns, and rows, are mirrored
INVISIBLE = 250  # and above: no ink that can be seen on white


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


def load_image(
    path: str | Path, image_shape: tuple[int, int, int], resizing: Resizing = AS_STRETCHED
) -> npt.NDArray[np.uint8]:
    """Read an image file and convert it to the network's input shape.

    The image is rotated upright by its EXIF tag. Transparent parts become white, or black if the
    ink is white. It is converted to grey, RGB or RGBA, and resized. The decoder of JPEG files does
    a part of the resizing, see `_shrink`. Wider grey than 8 bits is scaled to 8 bits, see
    `_eight_bits`. Of several frames or pages only the first is read. The pixels of an image that
    already has the right size and mode do not change.

    Args:
        path: a file of one of FORMATS.
        image_shape: (height, width, channels), channels 1, 3 or 4. With 4, transparent parts stay
            transparent.
        resizing: how an image of another size is resized.

    Returns:
        uint8 [height, width, channels], range [0, 255].

    Raises:
        DataError: the file is missing, too large, damaged, not an image, or of unknown range.
    """
    with unwarned():
        return read_image(path, image_shape, resizing)


def read_image(
    path: str | Path,
    image_shape: tuple[int, int, int],
    resizing: Resizing = AS_STRETCHED,
    films: set[str] | None = None,
) -> npt.NDArray[np.uint8]:
    """Read an image as `load_image` does, but inside a caller's `unwarned` block.

    A set `films` gets the path if the file has several frames or pages.
    """
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
            if films is not None and getattr(image, "is_animated", False):
                films.add(str(path))
            shrunk = _shrink(image, resizing, height, width)
            plain = resizing.apply(_plain(image, MODES[channels], path), height, width, shrunk)
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


def _shrink(image: Image.Image, resizing: Resizing, height: int, width: int) -> Shrunk | None:
    """Let the decoder of a JPEG file make the picture smaller, if it will be resized to much less.

    The decoder leaves out the high frequencies before it computes pixels, which is a good filter
    and much less work.

    Args:
        image: an image that is not decoded yet.
        resizing, height, width: what will be done with it.

    Returns:
        what the decoder will do; None: it decodes the picture as it is.
    """
    if image.format not in ("JPEG", "MPO"):
        return None
    orientation = image.getexif().get(ORIENTATION, 1)
    size = image.size[::-1] if orientation in TURNED else image.size
    divisor = resizing.divisor(size, height, width)
    smaller = (image.width // divisor, image.height // divisor)
    if divisor == 1 or image.draft(None, smaller) is None:
        return None
    return Shrunk(size, divisor, (orientation in MIRRORED[0], orientation in MIRRORED[1]))


def _plain(image: Image.Image, mode: str, path: str | Path) -> Image.Image:
    """Return the image upright and in mode L, RGB or RGBA; L and RGB are opaque."""
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode[0] in "IF":
        image = _eight_bits(image, path)
    if mode != "RGBA" and ("A" in image.getbands() or "transparency" in image.info):
        image = _opaque(image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image, path: str | Path) -> Image.Image:
    """Return grey of 16 bits, or of 32 bits or floats, as grey of 8 bits.

    White is 65,535 with 16 bits. 32 bits and floats have no fixed white. It is the first of 1 (for
    floats only), 255 and 65,535 that no pixel exceeds.

    Raises:
        DataError: a pixel is negative, not a number, or more than 65,535.
    """
    values = np.asarray(image, np.float64)
    whites = [65_535]
    # In a PNG or PPM file, Pillow's mode I means 16 bits.
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        whites = [1, 255, 65_535] if image.mode == "F" else [255, 65_535]
    low, high = values.min(), values.max()
    white = next((white for white in whites if 0 <= low <= high <= white), None)
    if white is None:
        raise DataError(
            f"{path} has pixels from {low:g} to {high:g}, so its black and white are unknown; save "
            "it with 8 bits"
        )
    return Image.fromarray(np.rint(values / (white / 255)).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image of mode RGBA on white, or on black if it could not be seen on white."""
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if np.asarray(white.convert("L")).min() < INVISIBLE or not np.asarray(image)[..., 3].any():
        return white
    return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
