"""Pictures for TensorBoard's Images tab, drawn with Pillow."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cnnlab.base.tf1 import tf

_COLUMNS = 4
_TILE = 96  # pixels; smaller images are magnified by a whole factor
_CAPTION = 34  # pixels below a tile, for two lines
_GAP = 8
_CELL = 44  # pixels of a cell of the confusion matrix, with few classes
_MAX_SIDE = 900  # pixels of the matrix, with many classes
_MIN_NUMBERED_CELL = 22  # smaller cells have no room for a number
_SHARPER = 8  # times
_DARK = (8, 48, 107)  # the colour of a cell that has all images of its row


def picture_value(tag: str, picture: Image.Image) -> Any:
    """Return a `tf.Summary.Value` that shows a picture."""
    png = io.BytesIO()
    picture.save(png, format="PNG", optimize=True)
    image = tf.Summary.Image(
        height=picture.height,
        width=picture.width,
        colorspace=3,
        encoded_image_string=png.getvalue(),
    )
    return tf.Summary.Value(tag=tag, image=image)


def as_picture(image: npt.NDArray[np.uint8], zoom: int = 1) -> Image.Image:
    """Return a magnified RGB picture of an image.

    Args:
        image: uint8 [height, width, channels]. Of two channels the first is shown, of more than
            three the first three.
        zoom: a whole factor.
    """
    pixels = image[:, :, 0] if image.shape[2] in (1, 2) else image[:, :, :3]
    picture = Image.fromarray(pixels)
    size = (picture.width * zoom, picture.height * zoom)
    return picture.resize(size, Image.Resampling.NEAREST).convert("RGB")


def draw_mistakes(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[Any],
    predicted: npt.NDArray[Any],
    probabilities: npt.NDArray[np.float32],
    class_names: Sequence[str],
) -> Image.Image:
    """Draw images, each above its true class, its predicted class and the latter's probability.

    Args:
        images: uint8 [n, height, width, channels], n >= 1.
        labels: int [n], the truth.
        predicted: int [n], the predicted class.
        probabilities: float32 [n, num_classes].
        class_names: one for each class.
    """
    height, width = images.shape[1:3]
    zoom = max(1, _TILE // max(height, width))
    cell_width = max(width * zoom, _TILE) + _GAP
    cell_height = height * zoom + _CAPTION + _GAP
    rows, columns = -(-len(images) // _COLUMNS), min(len(images), _COLUMNS)
    sheet = Image.new("RGB", (columns * cell_width + _GAP, rows * cell_height + _GAP), "white")
    for index, image in enumerate(images):
        row, column = divmod(index, _COLUMNS)
        left, top = _GAP + column * cell_width, _GAP + row * cell_height
        sheet.paste(as_picture(image, zoom), (left, top))
        guess = int(predicted[index])
        lines = (
            (f"is {class_names[labels[index]]}", "black"),
            (f"{probabilities[index, guess]:.0%} {class_names[guess]}", "firebrick"),
        )
        for number, (text, colour) in enumerate(lines):
            y = top + height * zoom + 2 + 15 * number
            size = _size_for(text, 13, cell_width - _GAP)
            shown = _shortened(text, size, cell_width - _GAP)
            _write(sheet, (left, y), shown, colour, size, "la")
    return sheet


def draw_confusion_matrix(
    confusion: npt.NDArray[np.int64], class_names: Sequence[str]
) -> Image.Image:
    """Draw the number of images of each truth (row) and prediction (column).

    The shade of a cell shows its share of the row's images.

    Args:
        confusion: int64 [num_classes, num_classes]; rows: truth.
        class_names: one for each class.
    """
    count = len(confusion)
    cell = min(_CELL, max(1, _MAX_SIDE // count))
    has_numbers = cell >= _MIN_NUMBERED_CELL
    size = min(14.0, max(9.0, 0.6 * cell))
    names = class_names if has_numbers else ()  # else they would not be legible either
    margin = 34 + max((math.ceil(_width(name, size)) for name in names), default=0)
    side = margin + count * cell + _GAP
    sheet = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(sheet)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    for row in range(count):
        for column in range(count):
            left, top = margin + column * cell, margin + row * cell
            share = float(shares[row, column])
            shade = tuple(round(255 - share * (255 - part)) for part in _DARK)
            line = "lightgrey" if has_numbers else shade
            draw.rectangle((left, top, left + cell, top + cell), shade, line)
            if has_numbers and confusion[row, column]:
                text = str(confusion[row, column])
                ink = "white" if share > 0.5 else "black"
                place = (left + cell / 2, top + cell / 2)
                _write(sheet, place, text, ink, _size_for(text, 14, cell - 4), "mm")
    _write_names(sheet, names, margin, cell, size)
    return sheet


def _write_names(
    sheet: Image.Image, names: Sequence[str], margin: int, cell: int, size: float
) -> None:
    """Write the classes' names and the words "true" and "predicted" along the left and the top.

    The names along the top are rotated by 90 degrees.
    """
    for index, name in enumerate(names):
        middle = margin + (index + 0.5) * cell
        _write(sheet, (margin - 6, middle), name, "black", size, "rm")
        upright = Image.new("RGB", (margin - 30, cell), "white")
        _write(upright, (0, cell / 2), name, "black", size, "lm")
        sheet.paste(upright.transpose(Image.Transpose.ROTATE_90), (margin + index * cell, 26))
    middle = (margin + sheet.width) // 2
    _write(sheet, (middle, 12), "predicted", "dimgrey", size, "mm")
    upright = Image.new("RGB", (60, 20), "white")
    _write(upright, (30, 10), "true", "dimgrey", size, "mm")
    sheet.paste(upright.transpose(Image.Transpose.ROTATE_90), (3, middle - 30))


def _write(
    sheet: Image.Image, place: tuple[float, float], text: str, ink: str, size: float, anchor: str
) -> None:
    """Write a text on a picture.

    It is drawn several times as large and then reduced. FreeType puts each letter on a whole pixel,
    so that small letters would collide.

    Args:
        sheet: the picture.
        place: the text's position, in pixels.
        text: the text.
        ink: the text's colour.
        size: of the font, in pixels.
        anchor: the part of the text that is at the position, see Pillow's text anchors.
    """
    font = ImageFont.load_default(size * _SHARPER)
    left, top, right, bottom = font.getbbox(text, anchor=anchor)
    x, y = (math.floor(p + edge / _SHARPER) for p, edge in zip(place, (left, top), strict=True))
    # From here the position is relative to the corner (x, y) of the pixels that the text covers.
    start = ((place[0] - x) * _SHARPER, (place[1] - y) * _SHARPER)
    width, height = (math.ceil(p / _SHARPER) for p in (start[0] + right, start[1] + bottom))
    mask = Image.new("L", (max(1, width) * _SHARPER, max(1, height) * _SHARPER))
    ImageDraw.Draw(mask).text(start, text, 255, font, anchor=anchor)
    mask = mask.reduce(_SHARPER)
    sheet.paste(Image.new("RGB", mask.size, ink), (x, y), mask)


def _width(text: str, size: float) -> float:
    """Return the width of a text, in pixels."""
    return ImageFont.load_default(size * _SHARPER).getlength(text) / _SHARPER


def _size_for(text: str, size: float, width: float) -> float:
    """Return the size of the font, or the smaller size at which the text is `width` pixels wide.

    The size is never smaller than 7.
    """
    return max(7.0, size * min(1.0, width / max(_width(text, size), 1)))


def _shortened(text: str, size: float, width: float) -> str:
    """Return the text, or its first characters that fit into `width` pixels."""
    while text and _width(text, size) > width:
        text = text[:-1]
    return text
