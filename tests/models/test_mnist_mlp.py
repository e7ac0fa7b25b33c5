"""The multi-layer perceptron: its options, and its losses against PyTorch."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.models import MODELS, check_model_options
from tests import small_run

BATCH, STEPS = 8, 10


def make(folder: Path, **options: Any) -> Any:
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (BATCH * STEPS, 28, 28, 1), np.uint8)
    labels = np.arange(BATCH * STEPS) % 10
    rng.shuffle(labels)
    data = ((images, labels), (images, labels))
    given = {"batch_size": BATCH, "augment": [], "schedule": "constant", **options}
    return images, labels, small_run.make(folder / "save", "mnist_mlp", data, **given)


def test_default_layers(tmp_path: Path) -> None:
    """784*128+128 = 100,480; 128*60+60 = 7,740; 60*10+10 = 610."""
    with make(tmp_path)[2] as train:
        found = small_run.variables(train)
    sizes = {name: value.shape for name, value in found.items() if "Adam" not in name}
    assert sizes["dense1/kernel"] == (784, 128)
    assert sizes["dense2/kernel"] == (128, 60)
    assert sizes["logits/kernel"] == (60, 10)
    weights = [shape for name, shape in sizes.items() if name.endswith(("kernel", "bias"))]
    assert sum(int(np.prod(shape)) for shape in weights) == 100_480 + 7_740 + 610 == 108_830


@pytest.mark.slow
@pytest.mark.parametrize(("units", "optimizer"), [(32, "sgd"), ([20, 12, 8], "adam")])
def test_same_losses_as_pytorch(units: Any, optimizer: str, tmp_path: Path) -> None:
    import torch

    options = {"model_options": {"dense_units": units}, "optimizer": optimizer}
    images, labels, made = make(tmp_path, learning_rate=0.01, **options)
    batches = [(images[i : i + BATCH], labels[i : i + BATCH]) for i in range(0, 80, BATCH)]
    with made as train:
        weights = small_run.variables(train)
        found = [
            train.session.run(
                train.train_graph.train_loss, {train.images_ph: i, train.labels_ph: n}
            )
            for i, n in batches
        ]
    sizes = [784, *([units] if isinstance(units, int) else units)]
    modules: list[Any] = []
    for number, (before, after) in enumerate(itertools.pairwise(sizes), 1):
        modules += [linear(torch, weights, f"dense{number}", before, after), torch.nn.ReLU()]
    twin = torch.nn.Sequential(*modules, linear(torch, weights, "logits", sizes[-1], 10))
    rule: Any = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    rule = rule(twin.parameters(), lr=0.01)
    expected = []
    for step, (i, n) in enumerate(batches, 1):
        if optimizer == "adam":  # TensorFlow adds epsilon before the bias correction
            rule.param_groups[0]["eps"] = 1e-8 / math.sqrt(1 - 0.999**step)
        inputs = torch.tensor(i.reshape(BATCH, 784), dtype=torch.float32) / 255
        loss = torch.nn.functional.cross_entropy(twin(inputs), torch.tensor(n))
        rule.zero_grad()
        loss.backward()
        rule.step()
        expected.append(loss.item())
    assert abs(expected[0] - expected[-1]) > 1e-2  # the weights changed
    np.testing.assert_allclose(found, expected, atol=1e-4)


def linear(torch: Any, weights: dict[str, Any], name: str, before: int, after: int) -> Any:
    layer = torch.nn.Linear(before, after)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights[f"{name}/kernel"].T))
        layer.bias.copy_(torch.tensor(weights[f"{name}/bias"]))
    return layer


def test_dropout_is_after_the_first_dense_layer() -> None:
    """Dropout zeroes a fifth of what relu leaves above 0, and scales the rest."""
    from cnnlab.layers.tower import Tower, building

    images = np.random.default_rng(4).random((40, 28, 28, 1), np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        with building(Tower(1, tf.constant(0, tf.int64))) as tower:
            MODELS["mnist_mlp"](tf.constant(images), 10, training=True, dropout=0.2)
        assert list(tower.activations) == ["flatten", "dense1", "dropout1", "dense2", "logits"]
        session.run(tf.global_variables_initializer())
        before, after = session.run((tower.activations["dense1"], tower.activations["dropout1"]))
    alive = before > 0
    kept = after[alive] != 0
    assert kept.mean() == pytest.approx(0.8, abs=0.03)
    np.testing.assert_allclose(after[alive][kept], before[alive][kept] / 0.8, rtol=1e-5)


def test_options() -> None:
    model = MODELS["mnist_mlp"]
    check_model_options(model, {"dense_units": 32, "dropout": 0.1})
    check_model_options(model, {"dense_units": [32, 16]})
    for wrong in (0, [], [0], [1.5], "32", True):
        with pytest.raises(UsageError, match="the model: dense_units="):
            check_model_options(model, {"dense_units": wrong})
    with pytest.raises(UsageError, match="the model: dropout=1"):
        check_model_options(model, {"dropout": 1})
