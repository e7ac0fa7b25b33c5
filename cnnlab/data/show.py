"""A contact sheet of the images that training sees, computed by the input graph of training."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.base.files import write_output
from cnnlab.base.own_functions import load
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import open_session, tf
from cnnlab.config.config import Config
from cnnlab.config.options import STRICT, option
from cnnlab.config.references import references_in
from cnnlab.data.augment import OwnAugmentations, evaluation_view, scaling_of
from cnnlab.data.batches import BatchSource
from cnnlab.data.grey_levels import displayable_levels
from cnnlab.data.pipeline import RowStream
from cnnlab.data.scaling import build_statistics
from cnnlab.data.training_data import TrainingData

COLUMNS = 8
GAP = 2  # pixels between images
ZOOM_TO = 64  # pixels: smaller images are enlarged by an integer factor


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ShowOptions(Config):
    """Options of `python -m cnnlab.data show`: those of a run, and the file to write."""

    out: str = option("sheet.png", "PNG file to write", group="show", is_path=True, min_length=1)
    images: int = option(
        32,
        "images to show; below each, what training sees of it",
        unit="images",
        group="show",
        ge=1,
        le=1000,
    )


def show(options: ShowOptions) -> dict[str, Any]:
    """Write the contact sheet.

    Returns:
        file, number of images, and width and height of the sheet (pixels); and of what the network
        gets for these images: shape [images, height, width, channels], min and max.

    Raises:
        UsageError: the file name does not end in .png.
    """
    if not options.out.lower().endswith(".png"):
        raise UsageError(f"--out={options.out}: the sheet is a PNG file; end its name in .png")
    own = {
        place: load(name, "--augment").function for place, name in references_in(options.augment)
    }
    originals, inputs = load_batches(options, options.images, own=own)
    sheet = make_sheet(originals, displayable(inputs, options))
    png = io.BytesIO()
    sheet.save(png, format="PNG")
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_output(out, png.getvalue())
    return {
        "file": options.out,
        "images": len(inputs),
        "width": sheet.width,
        "height": sheet.height,
        "input_shape": list(inputs.shape),
        "input_min": float(inputs.min()),
        "input_max": float(inputs.max()),
    }


def load_batches(
    config: Config,
    count: int,
    data: TrainingData | None = None,
    own: OwnAugmentations | None = None,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return the first images that training draws, as originals and as network inputs.

    Args:
        config: a run's options.
        count: number of images.
        data: the run's data; default: loaded as configured.
        own: the user's functions in `config.augment`, by their positions.

    Returns:
        originals: uint8 [count, height, width, channels], cropped as in evaluation.
        inputs: float32 [count, height, width, channels], what the network gets.
    """
    data = data or TrainingData(config, None)
    scaling = scaling_of(config.augment, config.scaling)
    spec = data.spec
    data.check_options()
    train = data.split("train")
    graph = tf.Graph()
    with building_in(graph), tf.device("/cpu:0"):
        statistics = build_statistics(scaling, spec.image_shape, config.augment, spec.image_range)
        source = BatchSource(
            config,
            spec,
            data.num_train,
            statistics,
            has_example_weights=data.has_example_weights,
            class_counts=data.class_counts,
            own_augmentations=own,
            read=data.read_columns,
        )
        step_ph = tf.placeholder(tf.int64, [], "step_ph")
        stream = RowStream(source.data, config.batch_size, config.seed, 0, source.sampler)
        rows = stream.next_rows()
        batch = source.prepare(rows, step_ph)
        views = evaluation_view(rows["images"], config.augment)
        init_op = tf.global_variables_initializer()
    originals: list[Any] = []
    inputs: list[Any] = []
    with open_session(graph) as session:
        session.run(init_op)
        source.fill(session, train)
        if statistics is not None:
            statistics.fill(session, train.images)
        for step in range(-(-count // config.batch_size)):
            fetched = session.run((views, batch["inputs"]), {step_ph: step})
            originals.append(fetched[0])
            inputs.append(fetched[1])
    shown = displayable_levels(np.concatenate(originals)[:count], spec.image_range)
    return shown, np.concatenate(inputs)[:count]


def displayable(inputs: npt.NDArray[np.float32], config: Config) -> npt.NDArray[np.uint8]:
    """Turn network inputs into pixels that can be displayed.

    This undoes the scaling where possible. Otherwise each image is stretched so that its smallest
    value becomes black and its largest value white.
    """
    scaling = scaling_of(config.augment, config.scaling)
    if scaling == "unit":
        pixels = inputs * 255
    elif scaling == "symmetric":
        pixels = (inputs + 1) * 127.5
    else:
        low = inputs.min(axis=(1, 2, 3), keepdims=True)
        high = inputs.max(axis=(1, 2, 3), keepdims=True)
        pixels = 255 * (inputs - low) / np.maximum(high - low, 1e-6)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def make_sheet(above: npt.NDArray[np.uint8], below: npt.NDArray[np.uint8]) -> Image.Image:
    """Arrange pairs of images in rows of COLUMNS pairs, one image above the other.

    Args:
        above, below: uint8 [n, height, width, channels]. One channel is drawn in grey; of more than
            three only the first three are drawn.
    """
    count, height, width = above.shape[:3]
    zoom = max(1, ZOOM_TO // max(height, width))
    rows, columns = -(-count // COLUMNS), min(count, COLUMNS)
    tile_height, tile_width = height * zoom, width * zoom
    size = (columns * (tile_width + GAP) + GAP, rows * (2 * tile_height + 2 * GAP) + GAP)
    sheet = Image.new("RGB", size, "white")
    for index in range(count):
        row, column = divmod(index, COLUMNS)
        for place, images in enumerate((above, below)):
            pixels = images[index, :, :, 0] if images.shape[3] == 1 else images[index, :, :, :3]
            tile = Image.fromarray(pixels).resize(
                (tile_width, tile_height), Image.Resampling.NEAREST
            )
            top = GAP + row * (2 * tile_height + 2 * GAP) + place * tile_height
            sheet.paste(tile, (GAP + column * (tile_width + GAP), top))
    return sheet
