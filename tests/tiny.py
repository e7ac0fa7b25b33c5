"""A data set and a network so small that a training run takes a second, and runs of it."""

from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import Hook, Train, layers

STEPS = 9
NUM_TRAIN = 40
BATCH_SIZE = 8


def arrays(channels: int = 3, size: int = 12) -> tuple[Any, Any]:
    """((train images, labels), (test images, labels)) of 4 classes, the same each time."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (NUM_TRAIN + 16, size, size, channels)).astype(np.uint8)
    labels = np.arange(NUM_TRAIN + 16) % 4
    images[labels == 1, :, :6] //= 2  # something to learn
    images[labels == 2, 6:] //= 2
    return (images[:NUM_TRAIN], labels[:NUM_TRAIN]), (images[NUM_TRAIN:], labels[NUM_TRAIN:])


def model(images: Any, num_classes: int, *, training: bool) -> Any:
    """A convolution, batch norm, dropout, a dense layer."""
    x = layers.conv2d(images, 4, 3, name="conv")
    x = layers.batch_normalization(x, training=training, name="norm")
    x = layers.activate(x, "relu", name="relu")
    x = layers.spatial_dropout(x, 0.2, training=training, name="spatial")
    x = layers.max_pooling2d(x, 2, 2, name="pool")
    x = layers.dropout(layers.flatten(x, name="flatten"), 0.3, training=training, name="dropout")
    return layers.dense(x, num_classes, name="logits")


class StopAt(Hook):
    """Stops the run after a step."""

    def __init__(self, step: int) -> None:
        self.every_steps = step

    def after_step(self, train: Any, state: Any) -> None:
        train.stop("the test wants it")


def make(folder: Path, hooks: Any = (), data: Any = None, **options: Any) -> Train:
    """A Train on the arrays, into folder."""
    given = {
        "batch_size": BATCH_SIZE,
        "steps": STEPS,
        "eval_steps": 2,
        "summary_steps": 3,
        "checkpoint_steps": 4,
        "eval_batch_size": 16,
        "device": "cpu",
        **options,
    }
    if "model" not in given:
        given["model"] = model
    return Train(
        data=arrays() if data is None else data,
        hooks=hooks,
        save_dir=str(folder),
        log_dir=str(folder / "logs"),
        **given,
    )


def variables(train: Train) -> dict[str, Any]:
    """Name to value of every variable that a checkpoint holds."""
    return train.session.run({v.op.name: v for v in train.saver._var_list})


def run(folder: Path, hooks: Any = (), **options: Any) -> dict[str, Any]:
    """Train, or go on, and return all variables."""
    with make(folder, hooks, **options) as train:
        train.train()
        return variables(train)


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    """To the last bit."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
