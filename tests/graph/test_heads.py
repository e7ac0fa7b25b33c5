"""The loss of several heads, its gradient and its metrics, beside NumPy."""

from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.config.options import build
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.heads import are_correct, heads_of
from cnnlab.graph.parts import Parts
from cnnlab.graph.update.losses import losses_of, probabilities_of, training_losses
from cnnlab.layers.tower import Tower, building

NAMES = ("colour=blue", "colour=grey", "colour=red", "size=0", "size=1")
SPEC = DatasetSpec("arrays", (4, 4, 1), NAMES, 6, 6, "heads")
WEIGHTS = {"colour": 1.0, "size": 0.25}
CONFIG = build(Config, {"head_weights": {"size": 0.25}})
HEADS = heads_of(CONFIG, SPEC)
RNG = np.random.default_rng(1)
LOGITS = RNG.normal(0, 2, (6, 5)).astype(np.float32)
LABELS = np.concatenate(
    [np.eye(3)[[0, 1, 2, 2, 1, 0]], np.eye(2)[[0, 1, 1, 0, 1, 0]]], axis=1
).astype(np.float32)
COLUMNS = {"colour": slice(0, 3), "size": slice(3, 5)}


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def expected(targets: Any) -> tuple[Any, Any]:
    """Return each image's loss, and the gradient of their mean with respect to the logits."""
    losses, gradient = np.zeros(6), np.zeros((6, 5))
    for name, columns in COLUMNS.items():
        shares = softmax(LOGITS[:, columns].astype(np.float64))
        losses -= WEIGHTS[name] * (targets[:, columns] * np.log(shares)).sum(axis=1)
        gradient[:, columns] = WEIGHTS[name] * (shares - targets[:, columns]) / 6
    return losses, gradient


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_and_gradient(smoothing: float) -> None:
    config = build(Config, {"head_weights": {"size": 0.25}, "label_smoothing": smoothing})
    with tf.Graph().as_default(), tf.Session() as session:
        logits = tf.constant(LOGITS)
        losses = training_losses(config, logits, {"labels": tf.constant(LABELS)}, None, HEADS)
        found, gradient = session.run([losses, tf.gradients(tf.reduce_mean(losses), logits)[0]])
        plain = session.run(losses_of(config, logits, tf.constant(LABELS), heads=HEADS))
    smoothed = LABELS * (1 - smoothing) + smoothing * np.array([1 / 3] * 3 + [1 / 2] * 2)
    by_hand = expected(smoothed)
    np.testing.assert_allclose(found, by_hand[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, by_hand[1], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(plain, expected(LABELS)[0], rtol=1e-5)


def test_probabilities_and_what_is_right() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        logits = tf.constant(LOGITS)
        shares = probabilities_of(logits, "softmax", "heads", heads=HEADS)
        found, right = session.run([shares, are_correct(HEADS, tf.constant(LABELS), logits)])
    for place, columns in enumerate(COLUMNS.values()):
        np.testing.assert_allclose(found[:, columns], softmax(LOGITS[:, columns]), rtol=1e-5)
        same = LOGITS[:, columns].argmax(axis=1) == LABELS[:, columns].argmax(axis=1)
        assert np.array_equal(right[:, place], same)


def network(images: Any, num_classes: int, *, training: bool, head_sizes: Any) -> Any:
    """Return the logits of each head, the last one first."""
    del num_classes, training
    x = layers.dense(layers.flatten(images), 4, name="shared")
    return {name: layers.dense(x, n, name=name) for name, n in reversed(head_sizes.items())}


def built(model: Any) -> Any:
    parts = Parts(model, heads=HEADS)
    with tf.Graph().as_default(), building(Tower(1)):
        images = tf.placeholder(tf.float32, [None, 4, 4, 1])
        logits = parts.build_logits(images, 5, training=False)
        return logits, sorted(v.op.name for v in tf.global_variables())


def test_a_model_may_return_the_logits_of_each_head() -> None:
    logits, names = built(network)
    assert logits.shape.as_list() == [None, 5]
    assert [tensor.shape[1] for tensor in logits.op.inputs[:2]] == [3, 2]  # in the data's order
    assert names == [
        f"{layer}/{v}" for layer in ("colour", "shared", "size") for v in ("bias", "kernel")
    ]


def other(change: Any) -> Any:
    def model(images: Any, num_classes: int, *, training: bool, head_sizes: Any) -> Any:
        return change(network(images, num_classes, training=training, head_sizes=head_sizes))

    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: {"colour": found["colour"]}, "logits of the heads colour, but .* size"),
        (lambda found: {**found, "kind": found["size"]}, "logits of the heads size, colour, kind"),
        (
            lambda found: {"colour": found["size"], "size": found["size"]},
            r"float32 \(None, 2\) for the head colour; it needs logits \[batch, 3\], float32",
        ),
        (lambda found: {**found, "size": None}, "returned NoneType for the head size"),
        (lambda found: found["size"], r"returned \(None, 2\); a model must return logits .*5"),
    ],
)
def test_other_results_of_a_model_are_refused(change: Any, message: str) -> None:
    with pytest.raises(CnnlabError, match=message) as error:
        built(other(change))
    assert "\n" not in str(error.value)
