"""Averages of the weights and accumulation, in whole runs against NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Hook, layers
from tests import small_run

STEPS = 9
PLAIN = {
    "optimizer": "sgd",
    "schedule": "constant",
    "learning_rate": 0.2,
    "augment": [],
    "batch_size": 8,
    "steps": STEPS,
}


def perceptron(images: Any, num_classes: int, *, training: bool) -> Any:
    del training
    return layers.dense(layers.flatten(images), num_classes, name="logits")


class Record(Hook):
    """Keeps the weights before and after every step."""

    every_steps = 1

    def __init__(self) -> None:
        self.weights: list[Any] = []

    def begin(self, train: Any) -> None:
        self.weights.append(small_run.variables(train))

    def after_step(self, train: Any, state: Any) -> None:
        self.weights.append(small_run.variables(train))


def recorded(folder: Path, **options: Any) -> list[dict[str, Any]]:
    record = Record()
    small_run.run(folder, hooks=[record], **{**PLAIN, **options})
    return record.weights


@pytest.mark.slow
def test_moving_average(tmp_path: Path) -> None:
    weights = recorded(tmp_path, ema_decay=0.3)
    for name in ("conv1/kernel", "norm1/gamma", "norm1/moving_mean", "logits/bias"):
        average = weights[0][name]
        np.testing.assert_array_equal(weights[0][f"ema/{name}"], average)
        for step, after in enumerate(weights[1:]):
            decay = min(0.3, (1 + step) / (10 + step))
            average = decay * average + (1 - decay) * after[name]
            np.testing.assert_allclose(after[f"ema/{name}"], average, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ramp", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.slow
def test_lookahead(tmp_path: Path, ramp: bool) -> None:
    """Between the meetings the weights go on alone; at one, slow and fast become one mixture."""
    options = {"lookahead_steps": 3, "lookahead_decay": 0.6, "lookahead_ramp": ramp}
    weights = recorded(tmp_path / "lookahead", **options)
    name, slow = "logits/kernel", "lookahead/logits/kernel"
    np.testing.assert_array_equal(weights[0][name], weights[0][slow])
    alone = recorded(tmp_path / "alone")
    np.testing.assert_array_equal(weights[2][name], alone[2][name])
    for step in range(1, STEPS + 1):
        if step % 3:
            np.testing.assert_array_equal(weights[step][slow], weights[step - 1][slow])
        else:
            np.testing.assert_array_equal(weights[step][slow], weights[step][name])
    decay = 0.6 * (3 / STEPS) ** 3 if ramp else 0.6
    met = decay * weights[0][name] + (1 - decay) * alone[3][name]
    np.testing.assert_allclose(weights[3][name], met, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["ema", pytest.param("lookahead", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_evaluation_is_on_the_average(tmp_path: Path, kind: str) -> None:
    """By default; `live` evaluates the weights themselves. The command's graph agrees."""
    from cnnlab.config.config import Config
    from cnnlab.data.arrays import dataset_of
    from cnnlab.data.training_data import TrainingData
    from cnnlab.run.trained_model import TrainedModel

    options: dict[str, Any] = {"ema": {"ema_decay": 0.9}, "lookahead": {"lookahead_steps": 4}}[kind]
    options |= {**PLAIN, "model": "mnist_perceptron", "model_options": {"init_stddev": 0.01}}
    images = small_run.arrays()[1][0]
    found = {}
    for which in ("auto", "live"):
        with small_run.make(tmp_path / which, **options, eval_weights=which) as train:
            train.train()
            weights = small_run.variables(train)
            found[which] = train.predict(images)
        prefix = f"{kind}/" if which == "auto" else ""
        flat = images.reshape(len(images), -1) / np.float32(255)
        logits = flat @ weights[f"{prefix}logits/kernel"] + weights[f"{prefix}logits/bias"]
        expected = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found[which], expected, rtol=1e-4, atol=1e-5)
        config = Config(**options, eval_weights=which, dataset="arrays", device="cpu")
        spec = TrainingData(config, dataset_of(small_run.arrays())).spec
        with TrainedModel(tmp_path / which, config, spec) as trained:
            np.testing.assert_array_equal(trained.predict(images), found[which])
    assert (found["auto"] != found["live"]).any()


@pytest.mark.slow
def test_accumulation_gives_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    options = {
        **PLAIN,
        "model": perceptron,
        "class_weights": [1, 2, 3, 4],
        "augment": ["mixup"],
        "l2": 0.01,
    }
    whole = small_run.run(tmp_path / "whole", **options)
    parts = small_run.run(tmp_path / "parts", micro_batches=4, **options)
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_micro_batches_draw_masks_of_their_own(tmp_path: Path) -> None:
    """Dropout that repeated its mask in each part would drop the same places of each."""
    seen: list[Any] = []

    def model(images: Any, num_classes: int, *, training: bool) -> Any:
        x = layers.flatten(images * 0 + 1)
        x = layers.dropout(x, 0.5, training=training, name="dropout")
        return layers.dense(x, num_classes, name="logits", kernel_initializer="zeros")

    options = {**PLAIN, "micro_batches": 2, "batch_size": 2}
    with small_run.make(tmp_path, model, **options) as train:
        train.session.run(train.train_op)
        seen = train.session.run(train.saver._var_list)
    kernel = next(value for value in seen if value.ndim == 2)
    # A place moves the kernel by 0, one image's share or two: with one mask twice there is no one.
    sizes = np.unique(np.abs(kernel).sum(axis=1).round(5))
    assert len(sizes) > 2
