"""A faster reader for the simplest PNG files.

Pillow detects the format of a file and passes it to the decoder piece by piece. For images of 32x32
pixels this overhead is large, and reading can limit the speed of predictions with a small network.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: (0, "L"), 3: (2, "RGB"), 4: (6, "RGBA")}  # and Pillow's modes, by channels
_HEADER_END = len(_SIGNATURE) + 25  # with the IHDR chunk: length, name, 13 bytes, checksum
_PREFIX_END = _HEADER_END - 4


def decode_plain_png(
    data: bytes, image_shape: tuple[int, int, int]
) -> npt.NDArray[np.uint8] | None:
    """Decode a PNG file that contains only pixels, exactly in the network's input shape.

    It must have 8 bits per channel, as many channels as the network's input, and not be interlaced.
    Format: W3C, Portable Network Graphics.

    Args:
        data: the whole file.
        image_shape: (height, width, channels), channels 1, 3 or 4.

    Returns:
        uint8 [height, width, channels]; None if the file is different or damaged.
    """
    height, width, channels = image_shape
    colour_type, mode = _COLOUR_TYPES[channels]
    header = struct.pack(">2I5B", width, height, 8, colour_type, 0, 0, 0)
    prefix = _SIGNATURE + struct.pack(">I", len(header)) + b"IHDR" + header
    if data[:_PREFIX_END] != prefix or not _checked(data, len(_SIGNATURE) + 4, _PREFIX_END):
        return None
    deflated = _pixel_chunks(data)
    if deflated is None:
        return None
    try:
        image = Image.frombytes(mode, (width, height), deflated, "zip", mode)
    except (OSError, ValueError):
        return None
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image_shape).copy()


def _pixel_chunks(data: bytes) -> bytes | None:
    """Return the bytes of all IDAT chunks; None if a chunk is damaged or neither IDAT nor IEND."""
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
    """Return whether the checksum after a chunk's name and content is present and right."""
    return zlib.crc32(data[start:end]).to_bytes(4) == data[end : end + 4]
