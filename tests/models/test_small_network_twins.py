"""The small networks' losses over ten steps against twins in Keras or PyTorch.

From the same weights, on the same batches, without dropout. Where PyTorch is not installed its
twins are skipped.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train
from cnnlab.models.lenet import C3_INPUTS, centres
from tests import small as tiny

BATCH, STEPS, RATE, MOMENTUM = 4, 10, 0.01, 0.85
SHAPES = {"cifar_lrn": (24, 24, 3)} | dict.fromkeys(
    ("lenet5", "lenet5_1998", "mnist_simple", "mnist_best", "stn"), (28, 28, 1)
)
CIFAR = (32, 32, 3)
# What the options must be for a twin to be possible, and quick.
OPTIONS: dict[str, dict[str, Any]] = {
    "mnist_simple": {"model_options": {"dropout": 0}},
    "mnist_best": {"model_options": {"dropout": 0}, "learning_rate": 0.001},
    "cifar_vgg1": {"model_options": {"dense_units": 64}},
    "cifar_vgg4": {
        "model_options": {"dense_units": 64, "dropout": 0},
        "learning_rate": 0.001,
        "kernel_initializer": "he_normal",  # from the default one nothing moves in ten steps
    },
    "airbench94": {"scaling": "normalize", "label_smoothing": 0.2},
}


def batches_for(name: str) -> tuple[Any, Any]:
    """uint8 [steps, batch, ...] and labels; smooth images, as noise has nothing to pool."""
    rng = np.random.default_rng(4)
    shape = SHAPES.get(name, CIFAR)
    coarse = rng.integers(0, 256, (STEPS, BATCH, shape[0] // 4, shape[1] // 4, shape[2]))
    images = coarse.repeat(4, axis=2).repeat(4, axis=3).astype(np.uint8)
    return images, rng.integers(0, 10, (STEPS, BATCH))


def rate_of(name: str) -> float:
    return float(OPTIONS.get(name, {}).get("learning_rate", RATE))


class Ours:
    """Ten steps of cnnlab's.

    Attributes:
        start: name to value of every variable before the first step.
        inputs: float32 [steps, batch, ...], as the network gets them.
        objectives: of each step.
        end: the variables after the last.
        logits: of the first batch, in inference mode, after the last step.
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
        with tiny.make(folder, name, data, **given) as train:
            for variable in train.saver._var_list:
                if variable.op.name in start:
                    initializer = variable.initializer
                    train.session.run(initializer, {initializer.inputs[1]: start[variable.op.name]})
            self.start = tiny.variables(train)
            self.inputs = [self.scaled(train, name, batch) for batch in images]
            self.objectives = [
                train.session.run(
                    train.train_graph.objective, {train.images_ph: i, train.labels_ph: n}
                )
                for i, n in zip(images, labels, strict=True)
            ]
            self.end = tiny.variables(train)
            self.logits = train.session.run(train.logits, {train.images_ph: images[0]})

    def scaled(self, train: Train, name: str, images: Any) -> Any:
        if OPTIONS.get(name, {}).get("scaling") != "normalize":
            return (images / 255).astype(np.float32)
        mean, stddev = (self.start[f"input_statistics/{part}"] for part in ("mean", "stddev"))
        return ((images / 255 - mean) / stddev).astype(np.float32)


def keras_objectives(name: str, ours: Ours) -> list[float]:
    """The network in Keras 3, its layers as the text has them."""
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
    assert np.abs(np.diff(expected)).max() > 1e-2  # it moved
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


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


# The twins in PyTorch are functions of a dict of weights, named as ours, and of images
# [b, channels, height, width].


def conv(w: Any, name: str, x: Any, **settings: Any) -> Any:
    import torch

    kernel = w[f"{name}/kernel"].permute(3, 2, 0, 1)
    return torch.nn.functional.conv2d(x, kernel, w.get(f"{name}/bias"), **settings)


def dense(w: Any, name: str, x: Any) -> Any:
    return x @ w[f"{name}/kernel"] + w.get(f"{name}/bias", 0)


def flat(x: Any) -> Any:
    return x.permute(0, 2, 3, 1).reshape(len(x), -1)


def norm(w: Any, name: str, x: Any, momentum: float, epsilon: float, training: bool) -> Any:
    import torch

    return torch.nn.functional.batch_norm(
        x,
        w[f"{name}/moving_mean"],
        w[f"{name}/moving_variance"],
        w.get(f"{name}/gamma"),
        w[f"{name}/beta"],
        training,
        1 - momentum,
        epsilon,
    )


def cifar_lrn(w: Any, x: Any, training: bool) -> Any:
    import torch

    f = torch.nn.functional
    lrn = torch.nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1)  # divides alpha by 9

    def pool(x: Any) -> Any:  # TensorFlow's 'same' of 3/2 on even sizes pads below and right
        return f.max_pool2d(f.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)

    x = lrn(pool(conv(w, "conv1", x, padding=2).relu()))
    x = pool(lrn(conv(w, "conv2", x, padding=2).relu()))
    x = dense(w, "dense1", flat(x)).relu()
    return dense(w, "logits", dense(w, "dense2", x).relu())


def lenet5_1998(w: Any, x: Any, training: bool) -> Any:
    import torch

    def squash(x: Any) -> Any:
        return 1.7159 * torch.tanh(2 / 3 * x)

    def subsample(name: str, x: Any) -> Any:
        corners = [x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        factor, bias = (w[f"{name}/{part}"][:, None, None] for part in ("coefficient", "bias"))
        return squash(sum(corners) * factor + bias)

    f = torch.nn.functional
    # A mirrored edge of two pixels, which PyTorch has no mode for.
    places = [1, 0, *range(28), 27, 26]
    x = subsample("s2", squash(conv(w, "c1", x[:, :, places][:, :, :, places])))
    maps, start = [], 0
    for target, inputs in enumerate(C3_INPUTS):  # one map after the other
        kernel = w["c3/kernel"][:, :, start : start + len(inputs)].permute(2, 0, 1)[None]
        maps.append(f.conv2d(x[:, list(inputs)], kernel, w["c3/bias"][target : target + 1]))
        start += len(inputs)
    x = subsample("s4", squash(torch.cat(maps, dim=1)))
    x = squash(dense(w, "f6", flat(squash(conv(w, "c5", x)))))
    return -(torch.cdist(x, torch.tensor(centres(10))) ** 2)


def stn(w: Any, x: Any, training: bool) -> Any:
    import torch

    f = torch.nn.functional
    images = x
    x = f.max_pool2d(conv(w, "locate_conv1", f.max_pool2d(x, 2), padding=2).relu(), 2)
    x = dense(w, "locate_dense", flat(conv(w, "locate_conv2", x).relu())).relu()
    theta = dense(w, "theta", x).reshape(-1, 2, 3)
    grid = f.affine_grid(theta, list(images.shape), align_corners=True)
    x = f.grid_sample(images, grid, align_corners=True)
    x = f.max_pool2d(conv(w, "conv1", x).relu(), 2)
    x = f.max_pool2d(conv(w, "conv2", x).relu(), 2)
    return dense(w, "logits", dense(w, "dense1", flat(x)).relu())


def airbench94(w: Any, x: Any, training: bool) -> Any:
    import torch

    f = torch.nn.functional
    x = f.gelu(conv(w, "whitening", x))
    for group in (1, 2, 3):
        x = f.max_pool2d(conv(w, f"conv{group}_1", x, padding=1), 2)
        x = f.gelu(norm(w, f"conv{group}_1_norm", x, 0.6, 1e-12, training))
        x = conv(w, f"conv{group}_2", x, padding=1)
        x = f.gelu(norm(w, f"conv{group}_2_norm", x, 0.6, 1e-12, training))
    return dense(w, "logits", f.max_pool2d(x, 3).flatten(1)) / 9


def mnist_best(w: Any, x: Any, training: bool) -> Any:
    import torch

    for pair, padding in ((1, 0), (2, 1), (3, 1)):
        for name in (f"conv{pair}_1", f"conv{pair}_2"):
            x = conv(w, name, x, padding=padding)
            x = norm(w, f"{name}_norm", x, 0.9, 1e-3, training).relu()
        x = torch.nn.functional.max_pool2d(x, 2)
    return dense(w, "logits", flat(x))


TWINS: dict[str, Callable[..., Any]] = {
    twin.__name__: twin for twin in (cifar_lrn, lenet5_1998, stn, airbench94, mnist_best)
}
# From the identity, every source lies on a pixel, where the slope of bilinear sampling jumps.
STARTS = {
    "stn": {
        "theta/kernel": np.random.default_rng(1).normal(0, 0.1, (20, 6)).astype(np.float32),
        "theta/bias": np.array([0.9, 0.13, 0.07, -0.11, 1.05, 0.03], np.float32),
    }
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TWINS)
def test_same_losses_as_pytorch(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    ours = Ours(name, tmp_path / "save", **STARTS.get(name, {}))
    weights = {n: torch.tensor(v) for n, v in ours.start.items() if "/" in n}
    is_fixed = ("moving_mean", "moving_variance", "whitening/kernel", "Momentum")
    trained = [
        weight.requires_grad_()
        for n, weight in weights.items()
        if not n.endswith(is_fixed) and not n.startswith("input_statistics")
    ]
    optimizer = torch.optim.SGD(trained, rate_of(name), momentum=MOMENTUM, nesterov=True)
    smoothing = OPTIONS.get(name, {}).get("label_smoothing", 0.0)
    losses = []
    for inputs, labels in zip(ours.inputs, batches_for(name)[1], strict=True):
        logits = TWINS[name](weights, torch.tensor(inputs).permute(0, 3, 1, 2), training=True)
        loss = torch.nn.functional.cross_entropy(
            logits, torch.tensor(labels), label_smoothing=smoothing
        )
        if name == "cifar_lrn":
            loss = loss + 0.004 / 2 * sum((weights[f"dense{i}/kernel"] ** 2).sum() for i in (1, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert_same(ours.objectives, losses)
    first = torch.tensor(ours.inputs[0]).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = TWINS[name](weights, first, training=False).numpy()
    np.testing.assert_allclose(ours.logits, logits, rtol=1e-3, atol=1e-3)
    for n, value in weights.items():
        if n.endswith("whitening/kernel"):
            np.testing.assert_array_equal(ours.end[n], value.numpy())
