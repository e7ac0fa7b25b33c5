"""Losses over ten steps of the small networks against twins in Keras.

Both start from the same weights and see the same batches, without dropout. For twins in PyTorch see
test_small_network_torch_twins.py.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train
from tests import small_run

BATCH, STEPS, RATE, MOMENTUM = 4, 10, 0.01, 0.85
SHAPES = {"cifar_lrn": (24, 24, 3)} | dict.fromkeys(
    ("lenet5", "lenet5_1998", "mnist_simple", "mnist_best", "stn"), (28, 28, 1)
)
CIFAR = (32, 32, 3)
# The options that make a twin possible, and quick.
OPTIONS: dict[str, dict[str, Any]] = {
    "mnist_simple": {"model_options": {"dropout": 0}},
    "mnist_best": {"model_options": {"dropout": 0}, "learning_rate": 0.0001},
    "cifar_vgg1": {"model_options": {"dense_units": 64}},
    "cifar_vgg4": {
        "model_options": {"dense_units": 64, "dropout": 0},
        "learning_rate": 0.001,
        "kernel_initializer": "he_normal",  # from the default start ten steps change nothing
    },
    "airbench94": {"scaling": "normalize", "label_smoothing": 0.2},
}


def batches_for(name: str) -> tuple[Any, Any]:
    """Return images uint8 [steps, batch, ...] and labels.

    The images are smooth, because pooling of noise tests little. Their little noise avoids equal
    numbers in a pooling window: rounding would choose which one gets the gradient.
    """
    rng = np.random.default_rng(4)
    shape = SHAPES.get(name, CIFAR)
    coarse = rng.integers(0, 240, (STEPS, BATCH, shape[0] // 4, shape[1] // 4, shape[2]))
    noise = rng.integers(0, 16, (STEPS, BATCH, *shape))
    images = (coarse.repeat(4, axis=2).repeat(4, axis=3) + noise).astype(np.uint8)
    return images, rng.integers(0, 10, (STEPS, BATCH))


def rate_of(name: str) -> float:
    return float(OPTIONS.get(name, {}).get("learning_rate", RATE))


class Ours:
    """Ten steps of cnnlab.

    Attributes:
        start: name to value of every variable before the first step.
        inputs: float32 [steps, batch, ...], the network's inputs.
        objectives: the objective of each step.
        end: name to value of every variable after the last step.
        logits: of the first batch, from the inference graph, after the last step.
    """

    def __init__(self, name: str, folder: Path, **start: Any) -> None:
        images, labels = batches_for(name)
        flat, classes = images.reshape(-1, *images.shape[2:]), labels.reshape(-1).copy()
        classes[:10] = np.arange(10)
        options = {"augment": [], "schedule": "constant", "optimizer": "nesterov"}
        given: dict[str, Any] = {
            **options,
            "batch_size": BATCH,
            "learning_rate": RATE,
            "momentum": MOMENTUM,
            **OPTIONS.get(name, {}),
        }
        data = ((flat, classes), (flat, classes))
        with small_run.make(folder, name, data, **given) as train:
            for variable in train.saver._var_list:
                if variable.op.name in start:
                    initializer = variable.initializer
                    train.session.run(initializer, {initializer.inputs[1]: start[variable.op.name]})
            self.start = small_run.variables(train)
            self.inputs = [self.scaled(train, name, batch) for batch in images]
            self.objectives = [
                train.session.run(
                    train.train_graph.objective, {train.images_ph: i, train.labels_ph: n}
                )
                for i, n in zip(images, labels, strict=True)
            ]
            self.end = small_run.variables(train)
            self.logits = train.session.run(train.logits, {train.images_ph: images[0]})

    def scaled(self, train: Train, name: str, images: Any) -> Any:
        if OPTIONS.get(name, {}).get("scaling") != "normalize":
            return (images / 255).astype(np.float32)
        mean, stddev = (self.start[f"input_statistics/{part}"] for part in ("mean", "stddev"))
        return ((images / 255 - mean) / stddev).astype(np.float32)


def keras_objectives(name: str, ours: Ours) -> list[float]:
    """Return the objectives of the source program's network in Keras 3."""
    import tensorflow

    keras = tensorflow.keras
    k = keras.layers
    same, tanh = {"padding": "same", "activation": "relu"}, {"activation": "tanh"}
    conv = {f: [k.Conv2D(f, 3, **same), k.Conv2D(f, 3, **same)] for f in (64, 128, 256)}
    narrow = [k.Flatten(), k.Dense(64, "relu"), k.Dense(64, "relu"), k.Dense(10)]
    stacks = {
        "lenet5": [
            *(k.Conv2D(6, 5, **tanh), k.AveragePooling2D(2)),
            *(k.Conv2D(16, 5, **tanh), k.AveragePooling2D(2), k.Conv2D(120, 5, **tanh)),
            *(k.Flatten(), k.Dense(84, "tanh"), k.Dense(10)),
        ],
        "mnist_simple": [
            *(k.Conv2D(64, 3, activation="relu"), k.Conv2D(128, 3, activation="relu")),
            *(k.MaxPooling2D(2), k.Flatten(), k.Dense(1024, "relu"), k.Dense(10)),
        ],
        "cifar_two_conv": [
            *(k.Conv2D(50, 3, **same), k.Conv2D(50, 3, **same), k.MaxPooling2D(2)),
            *(k.Flatten(), k.Dense(512, "relu"), k.Dense(10)),
        ],
        "cifar_vgg1": [*conv[64], k.MaxPooling2D(2), *narrow],
        "cifar_vgg4": [
            *(*conv[64], k.MaxPooling2D(2), *conv[128], k.MaxPooling2D(2)),
            *(*conv[256], k.Conv2D(256, 3, **same), k.MaxPooling2D(2), *narrow),
        ],
    }
    twin: Any = keras.Sequential([keras.Input(ours.inputs[0].shape[1:]), *stacks[name]])
    twin.set_weights([v for n, v in ours.start.items() if n.endswith(("/kernel", "/bias"))])
    optimizer = keras.optimizers.SGD(rate_of(name), momentum=MOMENTUM, nesterov=True)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = []
    for inputs, labels in zip(ours.inputs, batches_for(name)[1], strict=True):
        with tensorflow.GradientTape() as tape:
            loss = loss_of(labels, twin(inputs, training=True))
        gradients = tape.gradient(loss, twin.trainable_variables)
        optimizer.apply_gradients(zip(gradients, twin.trainable_variables, strict=True))
        losses.append(float(loss))
    return losses


def assert_same(found: list[float], expected: list[float]) -> None:
    assert np.abs(np.diff(expected)).max() > 1e-2  # the weights changed
    np.testing.assert_allclose(found[:4], expected[:4], rtol=0, atol=1e-4)
    # Differences of rounding grow from step to step.
    np.testing.assert_allclose(found[4:], expected[4:], rtol=0, atol=3e-3)


@pytest.mark.parametrize(
    "name",
    [
        "lenet5",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mnist_simple", "cifar_two_conv", "cifar_vgg1", "cifar_vgg4")
        ),
    ],
)
def test_same_losses_as_keras(name: str, tmp_path: Path) -> None:
    ours = Ours(name, tmp_path / "save")
    if name == "lenet5":
        around = ((0, 0), (2, 2), (2, 2), (0, 0))
        ours.inputs = [np.pad(inputs, around, "symmetric") for inputs in ours.inputs]
    assert_same(ours.objectives, keras_objectives(name, ours))
