"""How a picture of any size becomes one of the network's size."""

from __future__ import annotations

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

    def apply(self, image: Image.Image, height: int, width: int) -> Image.Image:
        """Return an image of mode L, RGB or RGBA in another size; at its own size it is unchanged.

        Args:
            image: any size.
            height, width: the new size (pixels).
        """
        if image.size == (width, height):
            return image
        if self.resize == "crop":
            across, down = _largest_part(image.size, (width, height))
            left, top = (image.width - across) // 2, (image.height - down) // 2
            image = image.crop((left, top, left + across, top + down))
        if self.resize != "pad":
            return self._sampled(image, height, width)
        across, down = _largest_fitting(image.size, (width, height))
        padded = Image.new(image.mode, (width, height))
        fitted = self._sampled(image, down, across)
        padded.paste(fitted, ((width - across) // 2, (height - down) // 2))
        return padded

    def _sampled(self, image: Image.Image, height: int, width: int) -> Image.Image:
        if self.interpolation != "nearest":
            return image.resize((width, height), _FILTERS[self.interpolation])
        # Pillow adds up fractions of pixels, so its rounding errors choose between two neighbours.
        rows, columns = nearest_places(image.height, height), nearest_places(image.width, width)
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
