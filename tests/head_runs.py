"""Pictures with two kinds of classes, the table that lists them, and networks for them."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from cnnlab import layers

COLOURS: Final = ("red", "green", "blue")
SIZES: Final = ("small", "large")
NUMBER: Final = 60


def drawn(number: int = NUMBER) -> tuple[Any, dict[str, list[str]]]:
    """Return uint8 [number, 8, 8, 3], and the colour and the size of the square in each image."""
    rng = np.random.default_rng(7)
    images = rng.integers(0, 90, (number, 8, 8, 3)).astype(np.uint8)
    colours, sizes = rng.integers(0, 3, number), rng.integers(0, 2, number)
    for image, colour, size in zip(images, colours, sizes, strict=True):
        edge = 1 if size else 3
        image[edge:-edge, edge:-edge, colour] += 150
    return images, {
        "colour": [COLOURS[colour] for colour in colours],
        "size": [SIZES[size] for size in sizes],
    }


def write_table(folder: Path) -> Path:
    """Write the pictures as PNG files, and the table that lists them with their splits."""
    images, labels = drawn()
    lines = ["path,colour,size,split"]
    for i, (image, *row) in enumerate(zip(images, *labels.values(), strict=True)):
        Image.fromarray(image).save(folder / f"{i}.png")
        split = "train" if i < 40 else "val" if i < 50 else "test"
        lines.append(",".join([f"{i}.png", *row, split]))
    (folder / "list.csv").write_text("\n".join(lines))
    return folder / "list.csv"


def arrays() -> Any:
    """Return the pictures as (training images, labels), (test images, labels)."""
    images, labels = drawn()
    return tuple(
        (images[part], {head: column[part] for head, column in labels.items()})
        for part in (slice(40), slice(40, None))
    )


def own_network(images: Any, num_classes: int, *, training: bool, head_sizes: Any) -> Any:
    """Return the logits of each head by its name, the last one first; layers have heads' names."""
    del num_classes
    x = layers.dense(layers.flatten(images), 12, activation="relu", name="shared")
    x = layers.dropout(x, 0.2, training=training, name="drop")
    return {head: layers.dense(x, size, name=head) for head, size in reversed(head_sizes.items())}
