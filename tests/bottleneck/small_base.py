"""A small base for the tests: its network, its data, and a run that has trained it."""

from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import Train, add_head, layers

OPTIONS = {
    "batch_size": 6,
    "epochs": 4,
    "learning_rate": 0.01,
    "schedule": "constant",
    "device": "cpu",
    "eval_steps": 5,
    "quiet": True,
}


def base(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    filters: int = 4,
    dense_units: Any = (),
    dropout: float = 0.0,
) -> Any:
    """Build a convolution, batch norm and a head."""
    x = layers.conv2d(images, filters, 3, padding="same", name="conv1")
    x = layers.batch_normalization(x, training=training, momentum=0.5, name="norm1")
    x = layers.activate(x, "relu", name="relu1")
    return add_head(x, num_classes, training=training, dense_units=dense_units, dropout=dropout)


def without_head(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build a network that does not end in a dense layer."""
    del training
    x = layers.conv2d(images, num_classes, 3, name="conv1")
    return layers.global_average_pooling2d(x)


def without_base(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build a network that is a head only."""
    del training
    return layers.dense(layers.flatten(images), num_classes, name="logits")


def unmarked(images: Any, num_classes: int, *, training: bool, dropout: float = 0.4) -> Any:
    """Build a network that ends in a dense layer, without `add_head`."""
    x = layers.conv2d(images, 4, 3, strides=2, activation="relu", name="conv1")
    x = layers.dense(layers.flatten(x), 6, activation="relu", name="dense1")
    x = layers.dropout(x, dropout, training=training, name="drop")
    start = {"kernel_initializer": "normal", "bias_initializer": "ones", "use_bias": dropout < 0.5}
    return 0.5 * layers.dense(x, num_classes, name="classes/out", **start)


def arrays(seed: int = 3, *, num_classes: int = 2, size: int = 8) -> Any:
    """Return ((training images, labels), (test images, labels)); brighter is a higher class.

    The images are uint8 [20 or 7, size, size, 3].
    """
    rng = np.random.default_rng(seed)
    splits = []
    for n in (20, 7):
        labels = np.arange(n) % num_classes
        noise = rng.integers(0, 120, (n, size, size, 3))
        bright = (120 * labels // (num_classes - 1))[:, None, None, None]
        splits.append(((noise + bright).astype(np.uint8), labels))
    return tuple(splits)


def train_source(save_dir: Path, **options: Any) -> str:
    """Train the base for some steps on four classes; return its run directory."""
    given = {**OPTIONS, "model_options": {"filters": 4}, **options}
    with Train(model=base, data=arrays(8, num_classes=4), save_dir=str(save_dir), **given) as train:
        train.train()
    return str(save_dir)
