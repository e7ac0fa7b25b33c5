"""Losses and their gradients against Keras's, in eager mode."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from cnnlab.config.config import Config
from cnnlab.graph.update.losses import losses_of, probabilities_of, smooth, training_losses

LABELS = np.array([0, 2, 1, 3, 3])
LOGITS = np.random.default_rng(3).normal(size=(5, 4)).astype(np.float32) * 2
SOFT = np.random.default_rng(4).dirichlet(np.ones(4), 5).astype(np.float32)
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]

PLAIN: dict[str, tuple[Any, Any]] = {
    "softmax": (tf_keras.losses.categorical_crossentropy, tf.nn.softmax),
    "sigmoid": (tf_keras.losses.binary_crossentropy, tf.nn.sigmoid),
    "mse": (tf_keras.losses.mean_squared_error, tf.nn.softmax),
    "msle": (tf_keras.losses.mean_squared_logarithmic_error, tf.nn.softmax),
    "mae": (tf_keras.losses.mean_absolute_error, tf.nn.softmax),
    "hinge": (tf_keras.losses.hinge, tf.identity),
    "squared_hinge": (tf_keras.losses.squared_hinge, tf.identity),
    "kl": (tf_keras.losses.kl_divergence, tf.nn.softmax),
}


def values_and_gradient(function: Any) -> tuple[Any, Any]:
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        losses = function(logits)
        total = tf.reduce_sum(losses * tf.constant([1.0, 2, 3, 4, 5]))
    return losses.numpy(), tape.gradient(total, logits).numpy()


@pytest.mark.parametrize("targets", [None, ONE_HOT, SOFT], ids=["labels", "one-hot", "soft"])
@pytest.mark.parametrize("loss", PLAIN)
def test_values_and_gradients_are_keras_s(loss: str, targets: Any) -> None:
    function, output = PLAIN[loss]
    truth = ONE_HOT if targets is None else targets
    if "hinge" in loss:
        truth = 2 * truth - 1  # what Keras takes; it turns 0 and 1 into these by itself
    ours = values_and_gradient(lambda z: losses_of(Config(loss=loss), z, LABELS, targets))
    theirs = values_and_gradient(lambda z: function(truth, output(z)))
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_the_sparse_form_is_the_same() -> None:
    ours = values_and_gradient(lambda z: losses_of(Config(loss="sparse_softmax"), z, LABELS))
    function = tf_keras.losses.sparse_categorical_crossentropy
    theirs = values_and_gradient(lambda z: function(LABELS, z, from_logits=True))
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("loss", "output"), [("mse", "sigmoid"), ("mae", "linear")])
def test_another_output(loss: str, output: str) -> None:
    ours = losses_of(Config(loss=loss, output=output), LOGITS, LABELS).numpy()
    outputs = {"sigmoid": 1 / (1 + np.exp(-LOGITS)), "linear": LOGITS}[output]
    errors = {"mse": (ONE_HOT - outputs) ** 2, "mae": abs(ONE_HOT - outputs)}[loss]
    np.testing.assert_allclose(ours, errors.mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        ("softmax", tf_keras.losses.CategoricalCrossentropy),
        ("sigmoid", tf_keras.losses.BinaryCrossentropy),
    ],
)
def test_label_smoothing_is_keras_s(loss: str, reference: Any) -> None:
    config = Config(loss=loss, label_smoothing=0.2)
    ours = training_losses(config, tf.constant(LOGITS), {"labels": tf.constant(LABELS)})
    theirs = reference(from_logits=True, label_smoothing=0.2, reduction="none")
    np.testing.assert_allclose(ours.numpy(), theirs(ONE_HOT, LOGITS).numpy(), rtol=1e-5)


def test_smoothed_targets_are_these_numbers() -> None:
    targets = tf.constant([[0.0, 1.0, 0.0, 0.0]])
    smoothed = smooth(Config(label_smoothing=0.2), targets).numpy()
    np.testing.assert_allclose(smoothed, [[0.05, 0.85, 0.05, 0.05]], rtol=1e-6)
    smoothed = smooth(Config(label_smoothing=0.2, loss="sigmoid"), targets).numpy()
    np.testing.assert_allclose(smoothed, [[0.1, 0.9, 0.1, 0.1]], rtol=1e-6)


def test_weights_multiply() -> None:
    weights = tf.constant([0.0, 1, 2, 0.5, 1])
    batch = {"labels": tf.constant(LABELS), "weights": weights}
    losses = losses_of(Config(), tf.constant(LOGITS), LABELS).numpy()
    weighted = training_losses(Config(), tf.constant(LOGITS), batch).numpy()
    np.testing.assert_allclose(weighted, losses * weights.numpy(), rtol=1e-6)


@pytest.mark.parametrize("loss", PLAIN)
def test_extreme_logits_stay_finite(loss: str) -> None:
    extreme = tf.constant([[200.0, -200.0, 0.0, 0.0]])
    losses = losses_of(Config(loss=loss), extreme, np.array([1]))
    assert np.isfinite(losses.numpy()).all()


def test_probabilities_sum_to_one_in_the_order_of_the_logits() -> None:
    for output in ("softmax", "sigmoid", "linear"):
        probabilities = probabilities_of(tf.constant(LOGITS), output).numpy()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(probabilities.argmax(axis=1), LOGITS.argmax(axis=1))
    sigmoids = 1 / (1 + np.exp(-LOGITS))
    found = probabilities_of(tf.constant(LOGITS), "sigmoid").numpy()
    np.testing.assert_allclose(found, sigmoids / sigmoids.sum(axis=1, keepdims=True), rtol=1e-4)
