"""The pictures that matplotlib draws: curves, the confusion matrix, sheets of tiles."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError
from cnnlab.report.tiles import Tile

DPI = 160
CSS_PIXELS = 90  # of an inch of a picture
MOST_WITH_COUNTS = 20  # classes; with more, the cells are too small for numbers
TILE_WIDTH = 1.75  # inches
LONGEST_NAME = 24  # characters
WIDE = 30  # times: curves this far apart need a logarithmic scale

# These do not depend on the user's matplotlibrc. A "$" in a class name is no formula.
_STYLE: Any = {
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.alpha": 0.3,
}


class Curve(NamedTuple):
    """One line of a plot.

    Attributes:
        label: for the legend.
        steps, values: of the same length.
        colour: a number; lines with the same number have the same colour.
        is_validation: whether to draw a dot at each value.
    """

    label: str
    steps: list[int]
    values: list[float]
    colour: int
    is_validation: bool


def require_matplotlib() -> None:
    """Check that matplotlib is installed.

    Raises:
        CnnlabError: it is not.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise CnnlabError("the pictures of a report need matplotlib: pip install 'cnnlab[report]'")


def draw_curves(curves: Sequence[Curve], quantity: str, *, from_zero: bool) -> bytes:
    """Draw curves over the step, as a PNG file; from_zero: the vertical axis begins at 0."""
    from matplotlib.ticker import NullFormatter

    with _drawing(4.8, 3.3) as (figure, png):
        axes = figure.add_subplot()
        drawn = [
            axes.plot(
                curve.steps,
                curve.values,
                color=f"C{curve.colour % 10}",
                marker="o" if curve.is_validation or len(curve.steps) == 1 else None,
                markersize=3.5,
                linewidth=1.6 if curve.is_validation else 0.9,
                alpha=1 if curve.is_validation else 0.7,
                linestyle="-" if curve.is_validation or len(curves) == 1 else (0, (4, 1.5)),
            )[0]
            for curve in curves
        ]
        axes.set_xlabel("step")
        axes.set_ylabel(quantity)
        axes.grid(True)
        tops = [max(curve.values) for curve in curves]
        if min(min(curve.values) for curve in curves) > 0 and max(tops) > WIDE * min(tops):
            axes.set_yscale("log")
            # matplotlib's own labels of such an axis are formulas, which the style forbids.
            axes.yaxis.set_major_formatter(lambda value, _place: f"{value:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        elif from_zero:
            axes.set_ylim(bottom=0)
        if len(curves) > 1:
            axes.legend(drawn, [shortened(curve.label) for curve in curves], fontsize=8)
    return png.getvalue()


def draw_confusion(confusion: npt.NDArray[np.int64], class_names: Sequence[str]) -> bytes:
    """Draw a confusion matrix as a PNG file. Colour: share of the row; numbers: images.

    Args:
        confusion: int64 [num_classes, num_classes]; rows: truth, columns: prediction.
        class_names: one for each class.
    """
    count = len(class_names)
    has_numbers = count <= MOST_WITH_COUNTS
    names = [shortened(name) for name in class_names]
    size = 9 if has_numbers else 6
    side = max(3.2, count * (0.4 if has_numbers else 0.135))
    margin = 0.5 + max(map(len, names)) * size * 0.009  # inches, of the names and the axis's title
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    with _drawing(side + margin, side + margin + 0.6) as (figure, png):
        axes = figure.add_subplot()
        picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(count), names, rotation=90, fontsize=size)
        axes.set_yticks(range(count), names, fontsize=size)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        if has_numbers:
            for (row, column), images in np.ndenumerate(confusion):
                ink = "white" if shares[row, column] > 0.55 else "black" if images else "#aaa"
                axes.text(column, row, str(images), ha="center", va="center", color=ink, fontsize=7)
        bar = figure.colorbar(picture, ax=axes, location="bottom", shrink=0.8, aspect=40)
        bar.set_label("share of the images of the true class")
    return png.getvalue()


def css_width(png: bytes) -> int:
    """Return the width of a picture of this file on the page, in CSS pixels."""
    pixels = int.from_bytes(png[16:20], "big")  # in a PNG file's header
    return round(pixels / DPI * CSS_PIXELS)


def draw_sheet(tiles: Sequence[Tile], columns: int) -> bytes:
    """Draw tiles in rows, each above its caption, as a PNG file."""
    rows = -(-len(tiles) // columns)
    text_height = 0.15 * max(len(tile.caption) for tile in tiles) + 0.15  # in inches, like the rest
    width, height = TILE_WIDTH * columns, (TILE_WIDTH + text_height) * rows
    with _drawing(width, height, layout=None) as (figure, png):
        for number, tile in enumerate(tiles):
            row, column = divmod(number, columns)
            left, bottom = column * TILE_WIDTH, height - (row + 1) * (TILE_WIDTH + text_height)
            axes = figure.add_axes(
                (
                    (left + 0.05) / width,
                    (bottom + text_height) / height,
                    (TILE_WIDTH - 0.1) / width,
                    (TILE_WIDTH - 0.05) / height,
                )
            )
            axes.imshow(tile.pixels, interpolation="nearest")
            axes.set_anchor("S")
            axes.set_axis_off()
            caption = "\n".join(shortened(line, LONGEST_NAME + 6) for line in tile.caption)
            x, y = (left + TILE_WIDTH / 2) / width, (bottom + text_height - 0.03) / height
            figure.text(x, y, caption, ha="center", va="top", size=7)
    return png.getvalue()


def shortened(text: str, longest: int = LONGEST_NAME) -> str:
    """Return the text, without its middle if it is longer than `longest`."""
    if len(text) <= longest:
        return text
    half = (longest - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


@contextmanager
def _drawing(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> Iterator[tuple[Any, io.BytesIO]]:
    """Yield a figure to draw on, and the file that holds it as a PNG after the block.

    width and height are in inches. pyplot is avoided: it chooses a window system and keeps every
    figure in memory.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    png = io.BytesIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A class name may have letters that the font lacks; each is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
        FigureCanvasAgg(figure)
        yield figure, png
        figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
