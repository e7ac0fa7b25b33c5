"""Initializers, activations and regularizers against Keras."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from cnnlab.base.errors import UsageError
from cnnlab.layers.activations import ACTIVATIONS, find_activation
from cnnlab.layers.initializers import INITIALIZERS, find_initializer
from cnnlab.layers.regularizers import l1_l2
from cnnlab.layers.tower import Tower, building

v1 = tf.compat.v1


def start(name: str, shape: list[int], seed: int = 1, variable: str = "kernel") -> np.ndarray:
    """Return the start of a variable, from the initializer of a name."""
    with tf.Graph().as_default(), v1.Session() as session:
        with building(Tower(seed)):
            weight = v1.get_variable(variable, shape, initializer=find_initializer(name, 0.05))
        session.run(v1.global_variables_initializer())
        return session.run(weight)


# Name to (variance * fan, which fan, largest value / standard deviation).
SPREAD = {
    "glorot_uniform": (2.0, "both", np.sqrt(3)),
    "glorot_normal": (2.0, "both", 2.28),  # truncated at 2 sd of a wider normal
    "he_uniform": (2.0, "in", np.sqrt(3)),
    "he_normal": (2.0, "in", 2.28),
    "lecun_normal": (1.0, "in", 2.28),
}


@pytest.mark.parametrize("name", SPREAD)
def test_spread(name: str) -> None:
    shape = [3, 3, 40, 60]
    fans = {"in": 9 * 40, "both": 9 * 40 + 9 * 60}
    scale, fan, largest = SPREAD[name]
    weights = start(name, shape)
    stddev = np.sqrt(scale / fans[fan])
    assert weights.std() == pytest.approx(stddev, rel=0.02)
    assert abs(weights.mean()) < 0.02 * stddev
    assert np.abs(weights).max() / stddev == pytest.approx(largest, rel=0.02)


def test_normal_and_truncated_normal_take_a_standard_deviation() -> None:
    normal, truncated = (start(n, [100, 300]) for n in ("normal", "truncated_normal"))
    assert normal.std() == pytest.approx(0.05, rel=0.02)
    assert np.abs(normal).max() > 0.15
    assert np.abs(truncated).max() <= 0.1


def test_zeros() -> None:
    assert not start("zeros", [5, 4]).any()


def test_orthogonal() -> None:
    weights = start("orthogonal", [3, 3, 4, 8]).reshape(36, 8)
    np.testing.assert_allclose(weights.T @ weights, np.eye(8), atol=1e-5)


def test_dirac_passes_its_inputs_unchanged() -> None:
    kernel = start("dirac", [3, 3, 4, 7])
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    outputs = tf.nn.conv2d(images, kernel, 1, "SAME").numpy()
    np.testing.assert_allclose(outputs[..., :4], images, atol=1e-6)
    rest = kernel[..., 4:]
    assert 0.9 / 6 < np.abs(rest).max() <= 1 / 6  # 1 / sqrt(3 * 3 * 4)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_no_kernel_is_a_constant_of_the_graph(name: str) -> None:
    with tf.Graph().as_default() as graph, building(Tower(1)):
        v1.get_variable("kernel", [3, 3, 128, 128], initializer=find_initializer(name, 0.05))
    assert graph.as_graph_def().ByteSize() < 30_000  # the kernel takes 590,000 bytes


@pytest.mark.parametrize("name", sorted(set(INITIALIZERS) - {"zeros"}))
def test_the_variables_name_gives_the_seed(name: str) -> None:
    shape = [3, 3, 4, 6]
    np.testing.assert_array_equal(start(name, shape), start(name, shape))
    assert (start(name, shape) != start(name, shape, variable="other")).any()
    assert (start(name, shape) != start(name, shape, seed=2)).any()


KERAS_NAMES = {"leaky_relu": lambda x: tf_keras.activations.relu(x, alpha=0.01)}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_keras_s(name: str) -> None:
    x = tf.constant(np.linspace(-6, 6, 60, dtype=np.float32).reshape(6, 10))
    theirs = KERAS_NAMES.get(name) or tf_keras.activations.get(name)
    np.testing.assert_allclose(find_activation(name)(x), theirs(x), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted({*ACTIVATIONS} - {"linear"}))
def test_gradients_of_activations_are_keras_s(name: str) -> None:
    """In training, where some activations have cnnlab's own gradient; in inference none has."""
    inputs = np.linspace(-6, 6, 60, dtype=np.float32).reshape(6, 10)
    weights = np.linspace(1, 2, 60, dtype=np.float32).reshape(6, 10)  # softmax's rows sum to 1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = tf.constant(inputs)
        find_activation(name)(x)
        assert not [op for op in graph.get_operations() if "_gradient_op_type" in op.node_def.attr]
        with building(Tower(1, tf.constant(0, tf.int64))):
            ours = find_activation(name)(x)
        theirs = (KERAS_NAMES.get(name) or tf_keras.activations.get(name))(x)
        found, expected = session.run([v1.gradients(y * weights, x)[0] for y in (ours, theirs)])
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5)


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match=r"unknown activation rellu; did you mean relu\?"):
        find_activation("rellu")
    with pytest.raises(UsageError, match=r"unknown initializer he_norm; did you mean he_normal\?"):
        find_initializer("he_norm")


def test_penalties_are_keras_s() -> None:
    weights = tf.constant(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    for l1, l2 in ((0.1, 0.0), (0.0, 0.2), (0.1, 0.2)):
        penalty = l1_l2(l1, l2)
        assert penalty is not None
        expected = tf_keras.regularizers.L1L2(l1, l2)(weights)
        np.testing.assert_allclose(penalty(weights), expected, rtol=1e-6)
    assert l1_l2(0, 0) is None
