"""Turn arrays into pixels: images, weights, feature maps, heat maps, and sheets of them."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]  # [height, width, 3]

MAX_MAPS = 32  # feature maps to show of a layer
COLUMNS = 8  # of a sheet of feature maps
MAP_COLOURS = "viridis"
HEAT_COLOURS = "inferno"
OVERLAY_COLOURS = "turbo"
SIGNED_COLOURS = "RdBu_r"  # white is 0, red above, blue below
GREY, WHITE = 128, 255  # the values of gaps between tiles


class Tile(NamedTuple):
    """A small picture with its caption.

    Attributes:
        pixels: uint8 [height, width, 3].
        caption: its lines, plain text.
    """

    pixels: Pixels
    caption: tuple[str, ...]


def png_bytes(pixels: Pixels) -> bytes:
    """Return the pixels as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG", optimize=True)
    return out.getvalue()


def image_pixels(image: npt.NDArray[np.uint8]) -> Pixels:
    """Return an image uint8 [height, width, channels], channels 1 or 3, as RGB."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def enlarged(pixels: Pixels, side: int) -> Pixels:
    """Magnify by the smallest whole factor that makes the longer side at least `side` pixels."""
    factor = -(-side // max(pixels.shape[:2]))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def coloured(values: npt.NDArray[Any], low: float, high: float, colours: str) -> Pixels:
    """Return values [...] as colours uint8 [..., 3] on a scale from low to high."""
    import matplotlib

    span = high - low
    shares = (values - low) / span if span > 0 else np.zeros_like(values, np.float64)
    rgba = matplotlib.colormaps[colours](np.clip(shares, 0, 1), bytes=True)
    return np.ascontiguousarray(rgba[..., :3])


def montage(
    tiles: npt.NDArray[np.uint8], columns: int = COLUMNS, gap: int = 1, between: int = GREY
) -> Pixels:
    """Arrange tiles uint8 [n, height, width, 3] in rows, `gap` pixels apart."""
    count, height, width = tiles.shape[:3]
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(size, between, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def weight_tiles(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return filters as pictures, each scaled by its own largest weight.

    Args:
        weights: float32 [height, width, channels, filters], channels 1 or 3.

    Returns:
        uint8 [filters, height, width, 3]. Three channels: grey is 0, and each weight makes its
        colour stronger or weaker. One channel: white is 0, red is positive, blue is negative.
    """
    by_filter = np.moveaxis(weights, 3, 0)
    largest = np.abs(by_filter).max(axis=(1, 2, 3), keepdims=True)
    shares = by_filter / np.where(largest > 0, largest, 1)
    if weights.shape[2] == 1:
        return coloured(shares[..., 0], -1, 1, SIGNED_COLOURS)
    return np.rint(127.5 * (shares + 1)).astype(np.uint8)


def slice_pixels(weights: npt.NDArray[np.float32]) -> Pixels:
    """Draw the filters of a convolution slice by slice: a row an input channel, a column a filter.

    A filter is scaled by its largest weight. White is 0, red is positive, blue is negative.

    Args:
        weights: float32 [height, width, channels, filters].
    """
    largest = np.abs(weights).max(axis=(0, 1, 2))
    shares = weights / np.where(largest > 0, largest, 1)
    height, width, channels, filters = weights.shape
    tiles = np.moveaxis(shares, (2, 3), (0, 1)).reshape(channels * filters, height, width)
    return montage(coloured(tiles, -1, 1, SIGNED_COLOURS), columns=filters)


def map_pixels(output: npt.NDArray[np.float32]) -> Pixels:
    """Draw the first feature maps of one image on one scale, from the lowest to the highest value.

    Args:
        output: float32 [height, width, channels]; or [units], each drawn as a cell.
    """
    shown = output[..., : MAX_MAPS if output.ndim == 3 else None]
    low, high = float(shown.min()), float(shown.max())
    if output.ndim == 3:
        tiles = coloured(np.moveaxis(shown, 2, 0), low, high, MAP_COLOURS)
        return montage(tiles)
    cells = coloured(shown, low, high, MAP_COLOURS).reshape(-1, 1, 1, 3)
    return montage(cells, columns=COLUMNS * 4, gap=0)


def heat_pixels(heat: npt.NDArray[np.float32]) -> Pixels:
    """Draw a gradient map float32 [height, width], >= 0; bright pixels are large gradients.

    The scale ends at the 99th percentile. Otherwise single pixels would leave the rest dark.
    """
    return coloured(heat, 0, float(np.percentile(heat, 99)), HEAT_COLOURS)


def overlay_pixels(image: Pixels, heat: npt.NDArray[np.float32]) -> Pixels:
    """Lay a coarse map float32 [rows, columns], >= 0, over an image.

    The map is stretched (bilinear) and half transparent. Its scale ends at its largest value. The
    image is grey, so that all colour belongs to the map.
    """
    height, width = image.shape[:2]
    smooth = np.asarray(Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR))
    colours = coloured(smooth, 0, float(heat.max()), OVERLAY_COLOURS)
    grey = image.mean(axis=2, keepdims=True)
    return np.rint(0.5 * grey + 0.5 * colours).astype(np.uint8)
