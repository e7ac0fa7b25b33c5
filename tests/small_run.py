"""A training run of about a second: its data set, its networks and its options."""

from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import Hook, Train, layers
from cnnlab.base.tf1 import tf

NUM_TRAIN, NUM_TEST = 20, 7
IMAGE_SHAPE = (8, 8, 3)

# 6 does not divide 20, so batches straddle epochs. 13 steps are 3.9 epochs. No side work takes
# place before the last step.
OPTIONS = {
    "batch_size": 6,
    "steps": 13,
    "augment": ["flip", {"pad_and_crop": {"pixels": 2}}],
    "learning_rate": 0.01,
    "decay_steps": 5,
    "eval_steps": 1000,
    "summary_steps": 1000,
    "checkpoint_steps": 1000,
}
# Fewer steps, with evaluations, summaries and checkpoints between them.
BUSY = {"steps": 9, "eval_steps": 2, "summary_steps": 3, "checkpoint_steps": 4}


def arrays(
    num_train: int = NUM_TRAIN, num_test: int = NUM_TEST, *, size: int = 8, channels: int = 3
) -> Any:
    """Return ((training images, labels), (test images, labels)), the same in every call.

    The images are uint8 [n, size, size, channels] and random. The labels are 0, 1, 2, 3, 0, 1, ...
    """
    rng = np.random.default_rng(3)
    splits = []
    for n in (num_train, num_test):
        images = rng.integers(0, 256, (n, size, size, channels), np.uint8)
        splits.append((images, np.arange(n) % 4))
    return tuple(splits)


def l2(weights: Any) -> Any:
    return 0.01 * tf.nn.l2_loss(weights)


def network(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build a network with all that could make runs differ: batch norm, dropout and a penalty.

    The kernels have no penalty here, so the options l1 and l2 apply to them.
    """
    x = layers.conv2d(images, 4, 3, padding="same", name="conv1")
    x = layers.batch_normalization(x, training=training, momentum=0.9, name="norm1")
    x = layers.activate(x, "relu", name="relu1")
    x = layers.spatial_dropout(x, 0.2, training=training, name="spatial1")
    x = layers.max_pooling2d(x, 2, 2, name="pool1")
    x = layers.flatten(x, name="flatten")
    x = layers.dropout(x, 0.3, training=training, name="dropout1")
    return layers.dense(x, num_classes, bias_regularizer=l2, name="logits")


def normed(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build a network with batch norm of images and of features, and nothing that is random."""
    x = layers.conv2d(images, 4, 3, padding="same", name="conv1")
    x = layers.batch_normalization(x, training=training, momentum=0.9, name="norm1")
    x = layers.dense(layers.flatten(layers.activate(x, "relu")), 8, name="dense1")
    x = layers.batch_normalization(x, training=training, momentum=0.9, name="norm2")
    return layers.dense(layers.activate(x, "relu"), num_classes, name="logits")


def linear(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build a single dense layer, the network that is built fastest."""
    del training
    return layers.dense(layers.flatten(images), num_classes, name="logits")


class StopAt(Hook):
    """Stops the run after a step."""

    def __init__(self, step: int) -> None:
        self.every_steps = step

    def after_step(self, train: Any, state: Any) -> None:
        train.stop("test")


def make(save_dir: Path | str, model: Any = network, data: Any = None, **options: Any) -> Train:
    """Return a Train of the small run in save_dir, with its logs in `save_dir`-logs."""
    given = {**OPTIONS, "device": "cpu", "log_dir": f"{save_dir}-logs", **options}
    return Train(model=model, data=data or arrays(), save_dir=str(save_dir), **given)


def variables(train: Train) -> dict[str, Any]:
    """Return all global variables: weights, moving averages, the optimizer's state, the step."""
    with train.graph.as_default():
        return train.session.run({v.op.name: v for v in tf.global_variables()})


def run(save_dir: Path | str, model: Any = network, **options: Any) -> dict[str, Any]:
    """Train until the run ends or a hook stops it, and return all variables."""
    with make(save_dir, model, **options) as train:
        train.train()
        return variables(train)


def assert_same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Assert that two sets of variables have the same names and the same bits."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].tobytes() == value.tobytes(), name


def finished(save_dir: Path, model: Any, **options: Any) -> dict[str, Any]:
    """Train to the end. Return all variables and the predictions for the test images."""
    with make(save_dir, model, **options) as train:
        assert train.train()["finished"]
        return {**variables(train), "probabilities": train.predict(arrays()[1][0])}


def assert_fast_is_plain(folder: Path, model: Any, variable: str, **options: Any) -> None:
    """Assert that --fast_kernels changes results by rounding only, in four steps.

    Args:
        folder: where the two runs are written.
        model: function that builds the network.
        variable: name of a variable whose bits must differ, which shows that a fast kernel ran.
        **options: options of both runs.
    """
    fast = finished(folder / "fast", model, steps=4, **options)
    plain = finished(folder / "plain", model, steps=4, fast_kernels=False, **options)
    assert fast[variable].tobytes() != plain[variable].tobytes()
    for name, value in plain.items():
        np.testing.assert_allclose(fast[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


def assert_cuts_change_nothing(folder: Path, model: Any, **options: Any) -> None:
    """Assert that six single steps give the same bits as four steps, a resume and two steps."""
    straight = finished(folder / "straight", model, steps=6, steps_per_run=1, **options)
    with make(folder / "cut", model, checkpoint_steps=2, **options) as stopped:
        stopped.train(steps=4)
    found = finished(folder / "cut", model, steps=6, checkpoint_steps=2, **options)
    assert_same_bits(found, straight)
