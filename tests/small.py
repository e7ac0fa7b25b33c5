"""A run small enough for tests that has everything in it which could make runs differ."""

from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import Train, layers
from cnnlab.base.tf1 import tf

NUM_TRAIN, NUM_TEST = 20, 7
IMAGE_SHAPE = (8, 8, 3)


def arrays(num_train: int = NUM_TRAIN, num_test: int = NUM_TEST, classes: int = 4) -> Any:
    """Random images; the first labels are 0, 1, ... so that every class is there."""
    rng = np.random.default_rng(3)
    splits = []
    for n in (num_train, num_test):
        images = rng.integers(0, 256, (n, *IMAGE_SHAPE), np.uint8)
        splits.append((images, np.arange(n) % classes))
    return tuple(splits)


def l2(weights: Any) -> Any:
    return 0.01 * tf.nn.l2_loss(weights)


def model(images: Any, num_classes: int, *, training: bool) -> Any:
    """Batch norm, dropout and a penalty."""
    x = layers.conv2d(images, 4, 3, padding="same", kernel_regularizer=l2, name="conv1")
    x = layers.batch_normalization(x, training=training, name="norm1")
    x = layers.max_pooling2d(tf.nn.relu(x), 2, 2, name="pool1")
    x = layers.flatten(x, name="flatten")
    x = layers.dropout(x, 0.3, training=training, name="dropout1")
    return layers.dense(x, num_classes, name="logits")


def linear(images: Any, num_classes: int, *, training: bool) -> Any:
    """The quickest to build."""
    del training
    return layers.dense(layers.flatten(images), num_classes, name="logits")


# 6 does not divide 20, so that batches straddle epochs; 13 steps are 3.9 epochs.
EXACT = {
    "batch_size": 6,
    "steps": 13,
    "augment": ["flip", {"pad_and_crop": {"pixels": 2}}],
    "learning_rate": 0.01,
    "decay_steps": 5,
    "eval_steps": 1000,
    "summary_steps": 1000,
    "checkpoint_steps": 1000,
}


def make(save_dir: Path | str, network: Any = model, data: Any = None, **options: Any) -> Train:
    """A Train of the tiny run in save_dir, its logs beside it."""
    given = {**EXACT, "device": "cpu", "log_dir": f"{save_dir}-logs", **options}
    return Train(model=network, data=data or arrays(), save_dir=str(save_dir), **given)


def variables(train: Train) -> dict[str, Any]:
    """Every global variable: weights, moving averages, the optimizer's, the step."""
    with train.graph.as_default():
        return train.session.run({v.op.name: v for v in tf.global_variables()})


def assert_same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].tobytes() == value.tobytes(), name


def finished(save_dir: Path, network: Any, **options: Any) -> dict[str, Any]:
    """Train to the end: all variables, and what is then predicted of the test images."""
    with make(save_dir, network, **options) as train:
        assert train.train()["finished"]
        return {**variables(train), "probabilities": train.predict(arrays()[1][0])}


def assert_fast_is_plain(folder: Path, network: Any, variable: str, **options: Any) -> None:
    """Four steps with and without --fast_kernels: the variable, which sees the difference, is
    not the same to the last bit, and all are but for rounding."""
    fast = finished(folder / "fast", network, steps=4, **options)
    plain = finished(folder / "plain", network, steps=4, fast_kernels=False, **options)
    assert fast[variable].tobytes() != plain[variable].tobytes()
    for name, value in plain.items():
        np.testing.assert_allclose(fast[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


def assert_cuts_change_nothing(folder: Path, network: Any, **options: Any) -> None:
    """Six steps one by one, or four and after a new start two, give the same bits."""
    straight = finished(folder / "straight", network, steps=6, steps_per_run=1, **options)
    with make(folder / "cut", network, checkpoint_steps=2, **options) as stopped:
        stopped.train(steps=4)
    found = finished(folder / "cut", network, steps=6, checkpoint_steps=2, **options)
    assert_same_bits(found, straight)
