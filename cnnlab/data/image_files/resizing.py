"""How a picture of any size becomes one of the network's size."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from cnnlab.config.input_options import InputOptions, Interpolation, Resize

_FILTERS: Final = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


Box = tuple[float, float, float, float]  # left, top, right, bottom
DIVISORS: Final = (1, 2, 4, 8)  # by which libjpeg shrinks a picture while it decodes it


class Part(NamedTuple):
    """What is resized.

    box: left, top, right and bottom of the part of the picture (pixels).
    size: width and height that it gets (pixels).
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]


class Shrunk(NamedTuple):
    """An upright picture that its decoder has made smaller.

    The last pixel of a row or column may be only partly filled. So the picture is `size / divisor`
    pixels wide and high, which need not be whole numbers.

    size: width and height of the picture in its file, upright (pixels).
    divisor: one of DIVISORS.
    is_mirrored: whether the columns, and the rows, are in another order than in the file. The
        pixel that is partly filled is then the first.
    """

    size: tuple[int, int]
    divisor: int
    is_mirrored: tuple[bool, bool]

    def places(self, size: tuple[int, int], box: tuple[int, int, int, int]) -> Box:
        """Return where a box of the picture is in its smaller copy.

        Args:
            size: width and height of the copy.
            box: left, top, right and bottom in the picture (pixels).
        """
        x, y = (
            is_mirrored * (now - then / self.divisor)
            for is_mirrored, now, then in zip(self.is_mirrored, size, self.size, strict=True)
        )
        left, top, right, bottom = (place / self.divisor for place in box)
        return x + left, y + top, x + right, y + bottom


class Resizing(NamedTuple):
    """The way to resize; `cnnlab.export.decoding` does the same inside a graph.

    resize: "stretch" to the size; "pad" the fitted picture with black (RGBA: transparent); or
        "crop" the middle part that has the aspect ratio of the size.
    interpolation: "nearest", or "bilinear", "bicubic" or "lanczos" with antialiasing.
    """

    resize: Resize = "stretch"
    interpolation: Interpolation = "bicubic"

    @classmethod
    def of(cls, config: InputOptions) -> Resizing:
        """Return the way of a run."""
        return cls(config.resize, config.interpolation)

    def part(self, size: tuple[int, int], height: int, width: int) -> Part:
        """Return which part of a picture is resized, and to what size.

        Args:
            size: width and height of the picture (pixels).
            height, width: the new size (pixels).
        """
        new = _largest_fitting(size, (width, height)) if self.resize == "pad" else (width, height)
        if self.resize != "crop":
            return Part((0, 0, *size), new)
        across, down = _largest_part(size, new)
        left, top = (size[0] - across) // 2, (size[1] - down) // 2
        return Part((left, top, left + across, top + down), new)

    def divisor(self, size: tuple[int, int], height: int, width: int) -> int:
        """Return by how much the decoder of a JPEG file shrinks a picture: 1, 2, 4 or 8.

        It is the largest that leaves at least the new size. Args: as for `part`.
        """
        (left, top, right, bottom), (across, down) = self.part(size, height, width)
        if self.interpolation == "nearest":
            return 1
        factor = min((right - left) // across, (bottom - top) // down)
        return max(divisor for divisor in DIVISORS if divisor <= max(1, factor))

    def apply(
        self, image: Image.Image, height: int, width: int, shrunk: Shrunk | None = None
    ) -> Image.Image:
        """Return an image of mode L, RGB or RGBA in another size; at its own size it is unchanged.

        Args:
            image: any size.
            height, width: the new size (pixels).
            shrunk: says what the image is a smaller copy of; None: it is the picture itself.
        """
        if shrunk is None and image.size == (width, height):
            return image
        box, new = self.part(shrunk.size if shrunk else image.size, height, width)
        fitted = self._sampled(image, shrunk.places(image.size, box) if shrunk else box, new)
        if self.resize != "pad":
            return fitted
        padded = Image.new(image.mode, (width, height))
        padded.paste(fitted, ((width - new[0]) // 2, (height - new[1]) // 2))
        return padded

    def _sampled(self, image: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
        """Return a part of an image in another size."""
        left, top = math.floor(box[0]), math.floor(box[1])
        outer = (left, top, math.ceil(box[2]), math.ceil(box[3]))
        if outer != (0, 0, *image.size):
            image = image.crop(outer)
        if self.interpolation != "nearest":
            inner = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
            return image.resize(size, _FILTERS[self.interpolation], inner)
        # Pillow adds up fractions of pixels, so its rounding errors choose between two neighbours.
        rows, columns = nearest_places(image.height, size[1]), nearest_places(image.width, size[0])
        return Image.fromarray(np.asarray(image)[rows][:, columns])


def nearest_places(n_in: int, n_out: int) -> npt.NDArray[np.int64]:
    """Return the pixel of n_in that is at the centre of each of n_out pixels, int64 [n_out]."""
    return (2 * np.arange(n_out) + 1) * n_in // (2 * n_out)


def _largest_part(size: tuple[int, int], ratio: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the largest part of `size` with an aspect ratio, rounded to pixels."""
    (width, height), (across, down) = size, ratio
    if width * down > height * across:
        return max(1, _rounded(height * across, down)), height
    return width, max(1, _rounded(width * down, across))


def _largest_fitting(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """Return the size, with the aspect ratio of `size`, that just fits into a box."""
    (width, height), (across, down) = size, box
    if width * down > height * across:
        return across, max(1, _rounded(height * across, width))
    return max(1, _rounded(width * down, height)), down


def _rounded(numerator: int, denominator: int) -> int:
    """Return the quotient, rounded to the nearest integer; halves are rounded up."""
    return (2 * numerator + denominator) // (2 * denominator)
