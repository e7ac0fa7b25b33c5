"""Max pooling ahead of a bias and a relu: the same numbers as in the order written."""

from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.kernels.choice import Kernels
from cnnlab.layers.tower import Tower, building

IMAGES = np.random.default_rng(1).normal(size=(3, 9, 8, 2)).astype(np.float32)


def written(images: Any, before: str, padding: str) -> Any:
    """A convolution, what stands between it and the pool, and the pool."""
    activation = tf.nn.relu if before == "bias and relu" else None
    x = layers.conv2d(images, 5, 3, activation=activation, name="conv")
    if before == "norm and relu":
        x = layers.batch_normalization(x, training=True, name="norm")
        x = layers.activate(x, "relu", name="relu")
    elif before == "tanh":
        x = layers.activate(x, "tanh", name="tanh")
    return layers.max_pooling2d(x, 3, 2, padding=padding, name="pool")


def run(before: str, padding: str, *, as_written: bool) -> tuple[list[str], dict[str, Any]]:
    """The types of the ops made by the pool's layer, and its output, and gradients."""
    # Of our kernels, only that of the pool: with the compiler, the others are not used.
    kernels = Kernels(is_fast=not as_written, compiler="step")
    with tf.Graph().as_default() as graph, tf.Session() as session:
        with building(Tower(3, kernels=kernels)) as tower:
            pooled = written(tf.constant(IMAGES), before, padding)
        assert tower.activations["pool"] is pooled
        rng = np.random.default_rng(2)
        weights = tf.constant(rng.normal(size=pooled.shape), tf.float32)
        variables = tf.trainable_variables()
        gradients = tf.gradients(tf.reduce_sum(weights * pooled), variables)
        session.run(tf.global_variables_initializer())
        for variable in variables:
            variable.load(rng.normal(size=variable.shape), session)
        found = {v.op.name: g for v, g in zip(variables, gradients, strict=True)}
        values = session.run({"pooled": pooled, **found})
    scope = "model/pool/"
    return [op.type for op in graph.get_operations() if op.name.startswith(scope)], values


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("before", "types"),
    [
        ("bias and relu", ["MaxPool", "BiasAdd", "Relu"]),
        ("bias", ["MaxPool", "BiasAdd"]),
        ("norm and relu", ["MaxPool", "Relu"]),
        ("tanh", ["MaxPool"]),  # its rounding need not keep order
    ],
)
def test_same_numbers(before: str, types: list[str], padding: str) -> None:
    made, values = run(before, padding, as_written=False)
    assert made == types
    made, expected = run(before, padding, as_written=True)
    assert made == ["MaxPool"]
    assert values["pooled"].tobytes() == expected["pooled"].tobytes()
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_every_other_place_is_taken_of_what_another_layer_needs() -> None:
    """The sum of a residual block is then read by its relu alone."""
    with tf.Graph().as_default(), building(Tower(3, kernels=Kernels())):
        x = layers.activate(tf.constant(IMAGES), "relu", name="relu")
        assert layers.max_pooling2d(x, 1, 2, name="pool").op.inputs[0] is x
