"""The sections that show images: galleries, filters, activations, saliency."""

from __future__ import annotations

from collections.abc import Sequence

from cnnlab.report import html
from cnnlab.report.facts import RunFacts, Studied
from cnnlab.report.figures import draw_sheet
from cnnlab.report.gallery import Example
from cnnlab.report.tiles import (
    GREY,
    MAX_MAPS,
    WHITE,
    Tile,
    enlarged,
    heat_pixels,
    image_pixels,
    map_pixels,
    montage,
    overlay_pixels,
    png_bytes,
    weight_tiles,
)

Pictures = dict[str, bytes]  # name to PNG

TILE_PIXELS = 136
MAX_FILTERS = 64


def gallery(
    facts: RunFacts, examples: Sequence[Example], name: str, pictures: Pictures, nothing: str
) -> str:
    """Images with truth and prediction; `nothing` is said where there are none."""
    if not examples:
        return html.paragraph(nothing)
    tiles = [
        Tile(image_pixels(facts.images[example.place]), _caption(facts, example))
        for example in examples
    ]
    pictures[name] = draw_sheet(tiles, min(4, len(tiles)))
    return html.tiles(tiles)


def _caption(facts: RunFacts, example: Example) -> tuple[str, ...]:
    """Number, truth, prediction; and the runner-up, where that is not the truth itself."""
    names = facts.spec.class_names
    truth = f"is {names[example.truth]} ({example.truth_probability:.3f})"
    if example.predicted == example.truth:
        lines = [f"{truth}, rightly seen"]
    else:
        lines = [truth, f"taken for {names[example.predicted]} ({example.probability:.3f})"]
    if example.runner_up != example.truth:
        lines.append(f"next: {names[example.runner_up]}")
    return (f"image {example.place}", *lines)


def filters(facts: RunFacts, pictures: Pictures) -> str:
    """The first layer's weights as pictures, if it sees the image."""
    if facts.filters is None:
        return html.paragraph("The first layer with weights does not see the image itself.")
    name, weights = facts.filters
    tiles = weight_tiles(weights[..., :MAX_FILTERS])
    count, height, width = weights.shape[3], *weights.shape[:2]
    one_channel = weights.shape[2] == 1
    meaning = "white is 0, red positive, blue negative" if one_channel else "grey is 0"
    shown = f"the first {MAX_FILTERS} of {count}" if count > MAX_FILTERS else f"all {count}"
    text = (
        f"{name}: {shown} filters of {height}x{width}, each scaled by its own largest weight; "
        f"{meaning}."
    )
    if name == facts.layers[-1].name:  # the only layer with weights: its units are the classes
        items = [
            Tile(tile, (class_name,))
            for tile, class_name in zip(tiles, facts.spec.class_names, strict=False)
        ]
        pictures["filters"] = draw_sheet(items, min(5, len(items)))
        text = f"{name}: the weights of {shown} classes, each scaled by its own largest; {meaning}."
        return html.paragraph(text, dim=True) + html.tiles(items)
    between = GREY if one_channel else WHITE  # not the colour of 0
    sheet = enlarged(montage(tiles, columns=16, between=between), 560)
    item = Tile(sheet, (f"{count} filters of {name}",))
    pictures["filters"] = png_bytes(sheet)
    return html.paragraph(text, dim=True) + html.tiles([item], wide=True)


def saliency(facts: RunFacts, pictures: Pictures) -> str:
    """Gradient and Grad-CAM of each image that is looked into."""
    if not facts.studied:
        return html.paragraph("No image was chosen.")
    about = (
        "What the score of the predicted class hangs on. Gradient: how much it changes with each "
        "pixel, the largest of the channels. "
    )
    about += (
        f"Grad-CAM: where the feature maps of {facts.cam_layer} speak for the class."
        if facts.cam_layer
        else "Grad-CAM is left out: the network has no convolution."
    )
    tiles = [tile for studied in facts.studied for tile in _maps(facts, studied)]
    pictures["saliency"] = draw_sheet(tiles, len(tiles) // len(facts.studied))
    rows = [html.tiles(_maps(facts, studied)) for studied in facts.studied]
    return html.paragraph(about, dim=True) + html.groups(rows)


def _maps(facts: RunFacts, studied: Studied) -> list[Tile]:
    """The image, its gradient and its Grad-CAM."""
    predicted = facts.spec.class_names[studied.example.predicted]
    pixels = enlarged(image_pixels(studied.image), TILE_PIXELS)
    found = [
        Tile(pixels, _caption(facts, studied.example)),
        Tile(heat_pixels(studied.gradient), ("gradient", f"for {predicted}")),
    ]
    if studied.grad_cam is not None:
        note = "" if studied.grad_cam.any() else "nothing speaks for it"
        lines = ("Grad-CAM", f"for {predicted}", *([note] if note else []))
        found.append(Tile(overlay_pixels(pixels, studied.grad_cam), lines))
    return found


def activations(facts: RunFacts, pictures: Pictures) -> str:
    """What each layer makes of each image that is looked into."""
    if not facts.studied:
        return html.paragraph("No image was chosen.")
    parts = [
        html.paragraph(
            f"The first {MAX_MAPS} feature maps of each layer, a dense layer's units as cells; "
            "each layer on one scale, dark is least and yellow greatest.",
            dim=True,
        )
    ]
    sheet = []
    for studied in facts.studied:
        tiles = [
            Tile(
                enlarged(map_pixels(output), 256),
                (name, f"{size(output.shape)}, {output.min():.3g} to {output.max():.3g}"),
            )
            for name, output in studied.activations.items()
            if output.ndim in (1, 3)
        ]
        image = Tile(
            enlarged(image_pixels(studied.image), TILE_PIXELS), _caption(facts, studied.example)
        )
        sheet += [image, *tiles]
        title = ", ".join(image.caption)
        parts.append(
            f"<details{' open' if studied is facts.studied[0] else ''}>"
            f"<summary>{html.escaped(title)}</summary>{html.tiles([image, *tiles], wide=True)}"
            "</details>"
        )
    pictures["activations"] = draw_sheet(sheet, max(2, len(sheet) // len(facts.studied)))
    return "\n".join(parts)


def size(shape: Sequence[int | None]) -> str:
    """A shape as in 32x32x3."""
    return "x".join("?" if side is None else str(side) for side in shape)
