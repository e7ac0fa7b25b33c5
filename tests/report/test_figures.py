"""The pictures that matplotlib draws, also with hostile class names."""

import io
import sys
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cnnlab.base.errors import CnnlabError
from cnnlab.report import figures
from cnnlab.report.figures import (
    Curve,
    css_width,
    draw_confusion,
    draw_curves,
    draw_sheet,
    shortened,
)
from cnnlab.report.tiles import Tile

HOSTILE = ("$\\frac{", "日本語", "_under", "a" * 300, "tab\there", "<b>", "%s{}", "")


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        return image.size


def test_any_class_name_can_be_drawn() -> None:
    """Warnings are errors in tests, so a letter that the font lacks would fail."""
    lengths = [len(shortened(name)) for name in HOSTILE]
    plain = draw_confusion(np.eye(8, dtype=np.int64), ["x" * length for length in lengths])
    assert size_of(draw_confusion(np.eye(8, dtype=np.int64), HOSTILE)) == size_of(plain)
    tiles = [Tile(np.zeros((4, 4, 3), np.uint8), (name, "line")) for name in HOSTILE]
    assert size_of(draw_sheet(tiles, 4))[0] == 4 * 1.75 * figures.DPI


@pytest.mark.slow
def test_a_hundred_classes_have_room() -> None:
    width, height = size_of(draw_confusion(np.eye(100, dtype=np.int64), ["name"] * 100))
    assert min(width, height) > 100 * 18  # pixels for each class


def test_curves_of_runs_far_apart_and_of_one_point() -> None:
    near = [Curve("_one", [1, 2], [0.5, 0.4], 0, False), Curve("two", [2], [0.3], 0, True)]
    far = [near[0], Curve("$", [1, 2], [50.0, float("nan")], 1, False)]
    pictures = {draw_curves(curves, "loss", from_zero=True) for curves in (near, far, near[:1])}
    assert len(pictures) == 3
    assert {size_of(png) for png in pictures} == {(768, 528)}


def test_a_logarithmic_axis_has_plain_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[str] = []
    save = Figure.savefig

    def spy(figure: Figure, *given: Any, **more: Any) -> None:
        axis = figure.axes[0].yaxis
        labels.extend(label.get_text() for label in axis.get_ticklabels(which="both"))
        save(figure, *given, **more)

    monkeypatch.setattr(Figure, "savefig", spy)
    rates = [Curve("a", [1, 2], [0.1, 1e-5], 0, False), Curve("b", [1, 2], [1e-3, 1e-3], 1, False)]
    draw_curves(rates, "learning rate", from_zero=True)
    assert {"0.1", "0.01", "0.001", "0.0001", "1e-05"} <= set(labels)
    assert all(label == "" or float(label) > 0 for label in labels)


def test_a_matrix_of_ten_classes_fits_a_page_of_400_pixels() -> None:
    """Nine points are then at least 8 CSS pixels; more classes scroll."""
    ten = css_width(draw_confusion(np.eye(10, dtype=np.int64), ["automobile"] * 10))
    assert ten <= 480
    assert 9 / 72 * figures.CSS_PIXELS * 376 / ten >= 8
    assert css_width(draw_confusion(np.eye(20, dtype=np.int64), ["automobile"] * 20)) > 480


def test_nothing_global_is_changed() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw_sheet([Tile(np.zeros((4, 4, 3), np.uint8), ("x",))], 1)
    assert dict(matplotlib.rcParams) == before


def test_shortened() -> None:
    assert shortened("a" * 24) == "a" * 24
    assert shortened("abcdefghij", 7) == "abc…hij"


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CnnlabError, match=r"pip install 'cnnlab\[report\]'"):
        figures.require_matplotlib()
