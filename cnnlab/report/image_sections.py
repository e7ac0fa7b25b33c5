"""The sections that show images: galleries, filters, saliency, activations."""

from __future__ import annotations

from collections.abc import Sequence

from cnnlab.report.examples import Example, caption_of
from cnnlab.report.facts import RunFacts
from cnnlab.report.figures import draw_sheet
from cnnlab.report.page import Filters, StudiedTiles
from cnnlab.report.studied import Studied
from cnnlab.report.tiles import (
    GREY,
    WHITE,
    Tile,
    enlarged,
    heat_pixels,
    image_pixels,
    map_pixels,
    montage,
    overlay_pixels,
    png_bytes,
    slice_pixels,
    weight_tiles,
)

Pictures = dict[str, bytes]  # PNG files by name

TILE_PIXELS = 136
ACTIVATION_PIXELS = 256
FILTER_SHEET_PIXELS = 560
SLICE_SHEET_PIXELS = 320
MAX_FILTERS = 64


def gallery(
    facts: RunFacts, examples: Sequence[Example], name: str, pictures: Pictures
) -> list[Tile]:
    """Return images with truth and prediction. Add their sheet to `pictures` by its name."""
    tiles = [
        Tile(image_pixels(facts.images[example.place]), caption_of(example, facts.spec.class_names))
        for example in examples
    ]
    if tiles:
        pictures[name] = draw_sheet(tiles, min(4, len(tiles)))
    return tiles


def filters(facts: RunFacts, pictures: Pictures) -> Filters | None:
    """Return the first layer's weights as pictures; None: the layer does not see the image."""
    if facts.filters is None:
        return None
    layer, weights = facts.filters
    height, width, channels, number = weights.shape
    tiles = weight_tiles(weights[..., :MAX_FILTERS])
    is_grey = channels == 1
    # The only layer with weights: each unit is a class.
    are_classes = layer == facts.layers[-1].name
    if are_classes:
        items = [
            Tile(tile, (class_name,))
            for tile, class_name in zip(tiles, facts.spec.class_names, strict=False)
        ]
        pictures["filters"] = draw_sheet(items, min(5, len(items)))
    else:
        between = GREY if is_grey else WHITE  # not the colour of 0
        sheet = enlarged(montage(tiles, columns=16, between=between), FILTER_SHEET_PIXELS)
        items = [Tile(sheet, (f"{number} filters of {layer}",))]
        pictures["filters"] = png_bytes(sheet)
    size = size_text((height, width))
    return Filters(layer, number, len(tiles), size, is_grey, are_classes, items)


def slices(facts: RunFacts, pictures: Pictures) -> list[Tile]:
    """Return the filters of each convolution by depth. Add their sheet to `pictures`."""
    tiles = []
    for layer, shape, weights in facts.slices:
        rows, columns = weights.shape[2:]
        lines = (
            f"{layer}: {shape[3]} filters of {size_text(shape[:3])}",
            f"rows: {_part(rows, shape[2])} channels",
            f"columns: {_part(columns, shape[3])} filters",
        )
        tiles.append(Tile(enlarged(slice_pixels(weights), SLICE_SHEET_PIXELS), lines))
    if tiles:
        pictures["filters_by_depth"] = draw_sheet(tiles, min(2, len(tiles)))
    return tiles


def _part(shown: int, number: int) -> str:
    return f"all {number}" if shown == number else f"the first {shown} of {number}"


def studied_tiles(facts: RunFacts, pictures: Pictures) -> list[StudiedTiles]:
    """Return the saliency maps and activations of each studied image."""
    studied = [
        StudiedTiles(
            ", ".join(image.subject.caption),
            _saliency(image),
            _activations(image),
        )
        for image in facts.studied
    ]
    if studied:
        pictures["saliency"] = _sheet([image.saliency for image in studied])
        pictures["activations"] = _sheet([image.activations for image in studied])
    return studied


def _sheet(rows: Sequence[Sequence[Tile]]) -> bytes:
    return draw_sheet([tile for row in rows for tile in row], len(rows[0]))


def _saliency(studied: Studied) -> list[Tile]:
    """Return the image, its gradient and its Grad-CAM."""
    name, original = studied.subject.name, _original(studied)
    tiles = [original, Tile(heat_pixels(studied.gradient), ("gradient", f"for {name}"))]
    if studied.grad_cam is not None:
        note = () if studied.grad_cam.any() else ("no evidence anywhere",)
        pixels = overlay_pixels(original.pixels, studied.grad_cam)
        tiles.append(Tile(pixels, ("Grad-CAM", f"for {name}", *note)))
    return tiles


def _activations(studied: Studied) -> list[Tile]:
    """Return the image and the output of each layer."""
    return [
        _original(studied),
        *(
            Tile(
                enlarged(map_pixels(output), ACTIVATION_PIXELS),
                (name, f"{size_text(output.shape)}, {output.min():.3g} to {output.max():.3g}"),
            )
            for name, output in studied.activations.items()
            if output.ndim in (1, 3)
        ),
    ]


def _original(studied: Studied) -> Tile:
    pixels = enlarged(image_pixels(studied.image), TILE_PIXELS)
    return Tile(pixels, studied.subject.caption)


def size_text(shape: Sequence[int | None]) -> str:
    """Return a shape as text, as in 32x32x3; "?" for an unknown side."""
    return "x".join("?" if side is None else str(side) for side in shape)
