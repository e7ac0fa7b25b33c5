"""The last features of validation images, for TensorBoard's projector.

FOLDER/
    projector_config.pbtxt     names the other files for TensorBoard
    projector/features.tsv     one line an image: its features
    projector/labels.tsv       one line an image: index, predicted class, right or not, true class
    projector/images.png       the images in rows
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cnnlab.base.files import translate_os_errors, write_atomically
from cnnlab.base.safe_text import for_terminal
from cnnlab.data.specs import DatasetSpec
from cnnlab.run.tensorboard.pictures import as_picture

MAX_IMAGES = 2000  # with more, t-SNE takes minutes in the browser
_MAX_SPRITE = 8192  # pixels a side, the largest picture that TensorBoard shows
_CONFIG = """embeddings {{
  tensor_name: "features"
  tensor_path: "projector/features.tsv"
  metadata_path: "projector/labels.tsv"
  sprite {{
    image_path: "projector/images.png"
    single_image_dim: [{width}, {height}]
  }}
}}
"""


def write_projector(
    folder: Path,
    features: npt.NDArray[np.float32],
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[Any],
    predictions: npt.NDArray[Any],
    class_names: Sequence[str],
) -> None:
    """Write the projector's files; they replace those of an earlier process.

    Args:
        folder: a folder with event files.
        features: float32 [n, channels] or [n, height, width, channels]. Of a feature map, the mean
            over its positions is written.
        images: uint8 [n, height, width, channels].
        labels: int [n], the truth.
        predictions: int [n], the predicted classes.
        class_names: one for each class.

    Raises:
        CnnlabError: a file cannot be written.
    """
    class_names = [for_terminal(name) for name in class_names]  # no tab or newline in a cell
    features = features.mean(axis=tuple(range(1, features.ndim - 1)))  # [n, channels]
    lines = ["index\tpredicted\tright\tclass"]  # TensorBoard labels points by the last column
    for index, (label, guess) in enumerate(zip(labels, predictions, strict=True)):
        right = "yes" if label == guess else "no"
        lines.append(f"{index}\t{class_names[guess]}\t{right}\t{class_names[label]}")
    text = io.StringIO()
    np.savetxt(text, features, fmt="%.5g", delimiter="\t")
    sprite = draw_sprite(images)
    png = io.BytesIO()
    sprite.save(png, format="PNG")
    with translate_os_errors(folder):
        (folder / "projector").mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "projector/features.tsv", text.getvalue())
    write_atomically(folder / "projector/labels.tsv", "\n".join(lines) + "\n")
    write_atomically(folder / "projector/images.png", png.getvalue())
    per_row = sprite_columns(len(images))
    config = _CONFIG.format(width=sprite.width // per_row, height=sprite.height // per_row)
    write_atomically(folder / "projector_config.pbtxt", config)


def numbered(
    labels: npt.NDArray[Any], predictions: npt.NDArray[Any], spec: DatasetSpec
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], Sequence[str]]:
    """Return labels, predictions and class names for `write_projector`.

    Each set of labels or of heads' classes, and each row of values, becomes a class of its own.

    Args:
        labels: int [n] or float32 [n, k], the truth.
        predictions: int [n], classes; or float32 [n, k], probabilities or values.
        spec: names the classes, labels or values.
    """
    if spec.targets == "classes":
        return labels, predictions, spec.class_names
    texts = [_row_text(row, spec) for row in (*labels, *predictions)]
    names = list(dict.fromkeys(texts))
    numbers = np.array([names.index(text) for text in texts])
    return numbers[: len(labels)], numbers[len(labels) :], names


def _row_text(row: npt.NDArray[np.float32], spec: DatasetSpec) -> str:
    if spec.targets == "values":
        return ", ".join(f"{value:.4g}" for value in row)
    if spec.heads:
        own = [head.class_names[int(row[head.columns].argmax())] for head in spec.heads]
        return " + ".join(own)
    names = [name for name, value in zip(spec.class_names, row, strict=True) if value >= 0.5]
    return " + ".join(names) or "none"


def sprite_columns(count: int) -> int:
    """Return the number of images in a row; the projector expects the same number of rows."""
    return int(np.ceil(np.sqrt(count)))


def draw_sprite(images: npt.NDArray[np.uint8]) -> Image.Image:
    """Draw all images in one square picture; shrink them if it would be too large.

    Args:
        images: uint8 [n, height, width, channels], n >= 1.
    """
    per_row = sprite_columns(len(images))
    height, width = images.shape[1:3]
    shrink = max(1.0, max(height, width) * per_row / _MAX_SPRITE)
    size = (max(1, int(width / shrink)), max(1, int(height / shrink)))
    sprite = Image.new("RGB", (per_row * size[0], per_row * size[1]), "white")
    for index, image in enumerate(images):
        row, column = divmod(index, per_row)
        picture = as_picture(image)
        if picture.size != size:
            picture = picture.resize(size)
        sprite.paste(picture, (column * size[0], row * size[1]))
    return sprite
