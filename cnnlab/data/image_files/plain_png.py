"""The plainest PNG files, read in two thirds of the time that Pillow's own reader takes.

Pillow opens a file of any format, and hands its decoder one piece after the other. For 32x32 pixels
that is a third of the work, and reading can be what predicting with a small network waits for.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2  # colour types
_HEADER_END = len(_SIGNATURE) + 25  # with the IHDR chunk: length, name, 13 bytes, checksum
_PREFIX_END = _HEADER_END - 4


def decode_plain_png(
    data: bytes, image_shape: tuple[int, int, int]
) -> npt.NDArray[np.uint8] | None:
    """Decode a PNG file (W3C, Portable Network Graphics) that has nothing but pixels, just as the
    network takes them: eight bits, grey or RGB, of its size, neither interlaced nor transparent.

    Args:
        data: the whole file.
        image_shape: (height, width, channels), channels 1 or 3.

    Returns:
        uint8 [height, width, channels]; None if it is anything else, or damaged.
    """
    height, width, channels = image_shape
    header = struct.pack(">2I5B", width, height, 8, _GREY if channels == 1 else _RGB, 0, 0, 0)
    prefix = _SIGNATURE + struct.pack(">I", len(header)) + b"IHDR" + header
    if data[:_PREFIX_END] != prefix or not _checked(data, len(_SIGNATURE) + 4, _PREFIX_END):
        return None
    deflated = _pixel_chunks(data)
    if deflated is None:
        return None
    mode = "L" if channels == 1 else "RGB"
    try:
        image = Image.frombytes(mode, (width, height), deflated, "zip", mode)
    except (OSError, ValueError):
        return None
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image_shape).copy()


def _pixel_chunks(data: bytes) -> bytes | None:
    """The bytes of all IDAT chunks; None if there is any other but IEND, or one is damaged."""
    pieces: list[bytes] = []
    start = _HEADER_END
    while True:
        name_at = start + 4
        end = name_at + 4 + int.from_bytes(data[start:name_at])
        name = data[name_at : name_at + 4]
        if not _checked(data, name_at, end):
            return None
        if name == b"IEND":
            return b"".join(pieces)
        if name != b"IDAT":
            return None
        pieces.append(data[name_at + 4 : end])
        start = end + 4


def _checked(data: bytes, start: int, end: int) -> bool:
    """Whether the checksum behind a chunk's name and content is there and right."""
    return zlib.crc32(data[start:end]).to_bytes(4) == data[end : end + 4]
