"""The page of a report: the data that its templates show, and how they become one HTML file."""

from __future__ import annotations

import base64
import dataclasses
import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.version import __version__
from cnnlab.report.tiles import MAX_MAPS, Tile, png_bytes

GENERATOR = "cnnlab report"
MARK = f'<meta name="generator" content="{GENERATOR}">'  # identifies a report of ours
UNFINISHED = (
    f"<!DOCTYPE html>\n{MARK}\n<title>Report</title>\n<p>This report is not finished.</p>\n"
)

Cell = str | int | float | None


class Picture(NamedTuple):
    """A picture inside the page.

    Attributes:
        png: the PNG file.
        alt: what it shows, in words.
        width: in CSS pixels; None: the style sheet decides.
    """

    png: bytes
    alt: str
    width: int | None = None


class Table(NamedTuple):
    """Cells in rows. The first cell of a row names it.

    Attributes:
        headings: one for each column.
        rows: each with one cell for each column.
        totals: the last row; empty: there is none.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    totals: Sequence[Cell] = ()

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether its cells are numbers; None counts as either."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.headings)
        return [
            any(isinstance(cell, int | float) for cell in column)
            and not any(isinstance(cell, str) for cell in column)
            for column in columns
        ]


class Filters(NamedTuple):
    """The weights of the first layer.

    Attributes:
        layer: its name.
        number: of its filters, or of its units if it is dense.
        shown: how many of them the tiles show.
        size: of a filter, as in 5x5.
        is_grey: whether they have one channel.
        are_classes: whether each tile shows the weights of one class.
        tiles: one with all filters, or one for each class.
    """

    layer: str
    number: int
    shown: int
    size: str
    is_grey: bool
    are_classes: bool
    tiles: list[Tile]


class StudiedTiles(NamedTuple):
    """An image with its saliency maps and activations.

    Attributes:
        title: what the network says about it.
        saliency: the image, its gradient, and its Grad-CAM if there is one.
        activations: the image, and the output of each layer.
    """

    title: str
    saliency: list[Tile]
    activations: list[Tile]


class HeadPage(NamedTuple):
    """What the page shows of one of several heads; see `RunPage`."""

    name: str
    figures: Sequence[tuple[str, float | None]]
    confusion: Picture
    most_confused: Table
    classes: Table


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPage:
    """What the page shows of one run.

    Attributes:
        save_dir: the run directory, as the user named it.
        model, dataset, split: their names.
        is_finished: whether the run has ended by itself.
        steps_made, total_steps: of the training.
        step: of the checkpoint.
        num_images: of the split.
        figures: of the whole split, by their headings.
        targets: classes, labels, values or heads.
        parameters: trained ones.
        fixed_parameters: those that are not trained.
        flops: of one image; None: unknown.
        curves: a plot for each logged quantity.
        confusion: the confusion matrix; None: the labels are no classes.
        most_confused: the most frequent mistakes.
        classes: the figures of each class, label or value.
        heads: of each head the confusion matrix and what follows it; empty without several heads.
        sampling: the option.
        balance: what training makes of each class; no rows: it treats all images alike.
        mistakes, least_sure: images of the split.
        filters: None: the first layer with weights does not see the image.
        slices: the filters of each convolution by depth.
        studied: the images with saliency maps and activations.
        subject: what the saliency maps are of, as in "the score of the predicted class".
        evidence: what Grad-CAM shows evidence for.
        cam_layer: the layer that Grad-CAM weighs; None: the network has no convolution.
        layers: of the network.
        changed_options: those that do not have their default value.
        options: all of them.
        versions: of the packages that trained the run.
    """

    save_dir: str
    model: str
    dataset: str
    split: str
    is_finished: bool
    steps_made: int
    total_steps: int
    step: int
    num_images: int
    figures: Sequence[tuple[str, float | None]]
    targets: str
    parameters: int
    fixed_parameters: int
    flops: int | None
    curves: list[Picture]
    confusion: Picture | None
    most_confused: Table
    classes: Table
    heads: list[HeadPage]
    sampling: str
    balance: Table
    mistakes: list[Tile]
    least_sure: list[Tile]
    filters: Filters | None
    slices: list[Tile]
    studied: list[StudiedTiles]
    subject: str
    evidence: str
    cam_layer: str | None
    layers: Table
    changed_options: Table
    options: Table
    versions: Table


class Comparison(NamedTuple):
    """Several runs side by side.

    Attributes:
        split: the name of the split that they were evaluated on.
        figures: a row for each run.
        curves: a plot for each logged quantity, with all runs.
        options: those in which the runs differ.
    """

    split: str
    figures: Table
    curves: list[Picture]
    options: Table


class ReportPage(NamedTuple):
    """The whole page. comparison: None for a single run."""

    title: str
    runs: list[RunPage]
    comparison: Comparison | None


def require_jinja() -> None:
    """Check that Jinja2 is installed.

    Raises:
        CnnlabError: it is not.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise CnnlabError("the page of a report needs Jinja2: pip install 'cnnlab[report]'")


def render(page: ReportPage) -> str:
    """Return the page as one HTML file, which loads nothing from elsewhere.

    All text of the page is escaped. It may come from anywhere: class names, options, file names.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cnnlab.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "data_uri": data_uri, "as_png": png_bytes}
    template = environment.get_template("report.html.j2")
    text = template.render(page=page, generator=GENERATOR, version=__version__, max_maps=MAX_MAPS)
    # A file name that is not UTF-8 has surrogates, which no UTF-8 file can hold.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown(value: Cell) -> str:
    """Return a value as text: fractions with four digits, integers in groups of three."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else value


def data_uri(png: bytes) -> str:
    """Return a PNG file as the address of a picture that is inside the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
