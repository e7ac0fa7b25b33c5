"""Sizes and modes of image files, without decoding their pixels."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from cnnlab.data.image_files.images import FORMATS, ORIENTATION, TURNED, read_image

_GREY = ("1", "L", "LA", "La", "I", "F")  # Pillow's modes; those of 16 bits begin with I


class Header(NamedTuple):
    """What a file says of its image, upright.

    width, height: pixels.
    mode: Pillow's mode.
    format: as in FORMATS.
    """

    width: int
    height: int
    mode: str
    format: str

    @property
    def is_grey(self) -> bool:
        """Whether the image has no colours by its mode."""
        return self.mode in _GREY or self.mode.startswith("I;")


def read_header(file: str) -> Header:
    """Read the header of an image file, inside an `unwarned` block.

    Raises:
        DataError: it is not an image that `load_image` reads.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if image.getexif().get(ORIENTATION) in TURNED:
                width, height = height, width
            return Header(width, height, image.mode, str(image.format))
    except Exception:  # of any kind: the reader has one line for each
        read_image(file, (1, 1, 1))
        raise
