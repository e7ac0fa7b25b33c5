"""The layers: what they compute, and what they add to those of `tf.layers`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Tower, building
from tests import small_run


def dropped(rate: float, training: bool = True, step: int = 0, name: str | None = None) -> Any:
    """Return the outputs of dropout for ones, float32 [50, 400]."""
    with tf.Graph().as_default(), tf.Session() as session:
        with building(Tower(1, tf.constant(step, tf.int64))):
            outputs = layers.dropout(tf.ones([50, 400]), rate, training=training, name=name)
        return session.run(outputs)


def test_dropout_zeroes_a_fraction_and_scales_the_rest() -> None:
    found = dropped(0.3)
    np.testing.assert_allclose(np.unique(found), [0, 1 / 0.7], rtol=1e-6)
    # With 20,000 draws the standard deviation is sqrt(0.21 / 20,000); five of them are allowed.
    assert abs((found == 0).mean() - 0.3) < 0.017


def test_dropout_depends_on_step_and_name() -> None:
    assert np.array_equal(dropped(0.5, step=3), dropped(0.5, step=3))
    assert not np.array_equal(dropped(0.5, step=3), dropped(0.5, step=4))
    assert not np.array_equal(dropped(0.5, name="a"), dropped(0.5, name="b"))


@pytest.mark.parametrize(("rate", "training"), [(0.0, True), (0.9, False)])
def test_no_dropout(rate: float, training: bool) -> None:
    assert (dropped(rate, training) == 1).all()


def test_layers_compute_what_they_say() -> None:
    """They agree with NumPy on one image."""
    image = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        with building(Tower(1)) as tower:
            x = layers.conv2d(tf.constant(image), 3, 3, activation=tf.nn.relu, name="conv1")
            pooled = layers.max_pooling2d(x, 2, 2)
            mean = layers.average_pooling2d(x, 2, 2)
            flat = layers.flatten(x)
            out = layers.dense(flat, 5, name="out")
        session.run(tf.global_variables_initializer())
        values = session.run({v.op.name: v for v in tf.global_variables()})
        conv, pooled, mean, flat, out = session.run((x, pooled, mean, flat, out))
    expected = np.zeros((1, 2, 2, 3))
    for row in range(2):
        for column in range(2):
            window = image[0, row : row + 3, column : column + 3]
            expected[0, row, column] = np.einsum("hwc,hwcf->f", window, values["conv1/kernel"])
    expected = np.maximum(expected + values["conv1/bias"], 0)
    np.testing.assert_allclose(conv, expected, atol=1e-5)
    np.testing.assert_allclose(pooled[0, 0, 0], expected.max(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(mean[0, 0, 0], expected.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(flat, expected.reshape(1, 12), atol=1e-5)
    np.testing.assert_allclose(
        out, expected.reshape(1, 12) @ values["out/kernel"] + values["out/bias"], atol=1e-5
    )
    assert list(tower.activations) == [
        *("conv1", "max_pooling2d", "average_pooling2d", "flatten", "out")
    ]


def test_a_penalty_enters_the_objective_once(tmp_path: Path) -> None:
    """objective = loss + 0.01 * sum(kernel^2) / 2, with the weights before the step."""

    def penalized(images: Any, num_classes: int, *, training: bool) -> Any:
        del training
        x = layers.flatten(images)
        return layers.dense(x, num_classes, kernel_regularizer=small_run.l2, name="logits")

    with small_run.make(tmp_path / "save", penalized) as train:
        kernel = small_run.variables(train)["logits/kernel"].astype(np.float64)
        graph = train.train_graph
        objective, loss = train.session.run((graph.objective, graph.train_loss))
    assert objective - loss == pytest.approx(0.01 * (kernel**2).sum() / 2, rel=1e-4)


def test_batch_norm_in_inference_uses_the_moving_averages() -> None:
    inputs = np.random.default_rng(0).normal(3, 2, size=(64, 5)).astype(np.float32)
    found = []
    for training in (True, False):
        with tf.Graph().as_default(), tf.Session() as session:
            with building(Tower(1, tf.constant(0, tf.int64))):
                x = layers.batch_normalization(tf.constant(inputs), training=training)
            session.run(tf.global_variables_initializer())
            found.append(session.run(x))
    exact = inputs.astype(np.float64)
    np.testing.assert_allclose(
        found[0], (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-3), atol=1e-4
    )
    np.testing.assert_allclose(found[1], exact / np.sqrt(1 + 1e-3), rtol=1e-5)


def test_a_model_with_channels_first_has_stable_names() -> None:
    with tf.Graph().as_default():
        for _ in range(2):
            with building(Tower(1)):
                x = layers.conv2d(tf.zeros([1, 3, 8, 8]), 4, 3, data_format="channels_first")
                assert x.shape.as_list() == [1, 4, 6, 6]
        assert [v.op.name for v in tf.global_variables()] == ["conv2d/kernel", "conv2d/bias"]
