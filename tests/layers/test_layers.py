"""Layers against Keras and NumPy, and the options that apply to all layers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from cnnlab import layers
from cnnlab.base.errors import CnnlabError
from cnnlab.layers.tower import LayerDefaults, Tower, building
from tests import small_run

v1 = tf.compat.v1
X = np.random.default_rng(0).normal(size=(6, 5, 4, 8)).astype(np.float32)


def outputs(layer: Any, *, training: bool = True, step: int = 0, **changes: Any) -> Any:
    """Return the outputs of a layer for X, after assigning `changes` to its variables."""
    with tf.Graph().as_default(), v1.Session() as session:
        with building(Tower(1, tf.constant(step, tf.int64) if training else None)):
            found = layer(tf.constant(X))
        session.run(v1.global_variables_initializer())
        for variable in v1.global_variables():
            name = variable.op.name.rpartition("/")[2]
            if name in changes:
                variable.load(changes[name], session)
        return session.run(found)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_group_normalization_is_keras_s(groups: int) -> None:
    gamma, beta = np.linspace(0.5, 2, 8), np.linspace(-1, 1, 8)
    found = outputs(lambda x: layers.group_normalization(x, groups), gamma=gamma, beta=beta)
    reference = tf_keras.layers.GroupNormalization(groups, epsilon=1e-5)
    reference.build(X.shape)
    reference.set_weights([gamma, beta])
    np.testing.assert_allclose(found, reference(X), rtol=1e-4, atol=1e-5)


def test_groups_must_divide_the_channels() -> None:
    with pytest.raises(CnnlabError, match="norm: 3 groups do not divide 8 channels"):
        outputs(lambda x: layers.group_normalization(x, 3, name="norm"))


def test_local_response_normalization_by_its_formula() -> None:
    settings = {"depth_radius": 2, "bias": 1.5, "alpha": 0.3, "beta": 0.75}
    found = outputs(lambda x: layers.local_response_normalization(x, **settings))
    expected = np.empty_like(X)
    for c in range(8):
        squares = (X[..., max(0, c - 2) : c + 3] ** 2).sum(axis=-1)
        expected[..., c] = X[..., c] / (1.5 + 0.3 * squares) ** 0.75
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("momentum", [0.9, 0.6])
def test_batch_normalization_is_keras_s(momentum: float) -> None:
    arguments = {"momentum": momentum, "epsilon": 0.01}
    found = outputs(lambda x: layers.batch_normalization(x, training=True, **arguments))
    reference = tf_keras.layers.BatchNormalization(**arguments)
    np.testing.assert_allclose(found, reference(X, training=True), rtol=1e-4, atol=1e-5)


def test_spatial_dropout_drops_whole_channels() -> None:
    def layer(x: Any) -> Any:
        return layers.spatial_dropout(x, 0.5, training=True)

    found = outputs(layer)
    ratio = found / X
    assert set(np.unique(ratio.round(4))) == {0.0, 2.0}
    assert (np.ptp(ratio, axis=(1, 2)) < 1e-4).all()
    assert 0.2 < (ratio == 0).mean() < 0.8
    np.testing.assert_array_equal(found, outputs(layer))
    assert (found != outputs(layer, step=1)).any()
    still = outputs(lambda x: layers.spatial_dropout(x, 0.5, training=False), training=False)
    np.testing.assert_array_equal(still, X)


def made(defaults: LayerDefaults, **arguments: Any) -> tuple[Any, Tower, dict[str, Any]]:
    """Return the outputs of a dense layer for X, its tower, and its weights and penalties."""
    with tf.Graph().as_default(), v1.Session() as session:
        with building(Tower(1, tf.constant(0, tf.int64), defaults=defaults)) as tower:
            found = layers.dense(layers.flatten(tf.constant(X)), 5, name="dense", **arguments)
        session.run(v1.global_variables_initializer())
        weights = session.run({v.op.name: v for v in v1.global_variables()})
        penalties = session.run(tower.penalties)
        collected = session.run(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES))
        assert penalties == collected
        return session.run(found), tower, {**weights, "penalties": penalties}


def test_names_of_initializers_and_activations() -> None:
    found, _, weights = made(LayerDefaults(), kernel_initializer="he_normal", activation="tanh")
    flat = X.reshape(6, -1)
    np.testing.assert_allclose(found, np.tanh(flat @ weights["dense/kernel"]), rtol=1e-4, atol=1e-5)


def test_options_that_apply_to_all_layers() -> None:
    defaults = LayerDefaults("zeros", activation="sigmoid", l1=0.5, l2=0.25)
    found, _, weights = made(defaults, kernel_initializer="he_normal", activation=tf.nn.relu)
    assert not weights["dense/kernel"].any()
    np.testing.assert_allclose(found, 0.5)
    linear, *_ = made(defaults)
    np.testing.assert_allclose(linear, 0)  # a layer without activation gets none


def test_penalties_are_on_kernels_and_a_layers_own_regularizer_wins() -> None:
    *_, weights = made(LayerDefaults(l1=0.5, l2=0.25))
    kernel = weights["dense/kernel"]
    expected = 0.5 * np.abs(kernel).sum() + 0.25 * (kernel**2).sum()
    np.testing.assert_allclose(weights["penalties"], [expected], rtol=1e-5)
    *_, weights = made(LayerDefaults(l2=0.25), kernel_regularizer=layers.l1_l2(l2=2.0))
    np.testing.assert_allclose(weights["penalties"], [2 * (kernel**2).sum()], rtol=1e-5)


@pytest.mark.slow
def test_the_penalty_is_in_the_gradient(tmp_path: Path) -> None:
    """One step of gradient descent with and without it differs by rate * 2 * l2 * kernel."""
    options = {"optimizer": "sgd", "schedule": "constant", "learning_rate": 0.1, "steps": 1}
    plain = small_run.run(tmp_path / "plain", **options)
    penalized = small_run.run(tmp_path / "l2", l2=0.05, **options)
    with small_run.make(tmp_path / "start", **options) as train:
        start = small_run.variables(train)
    for name in ("conv1/kernel", "logits/kernel"):
        difference = plain[name] - penalized[name]
        np.testing.assert_allclose(difference, 0.1 * 2 * 0.05 * start[name], atol=1e-6)
    np.testing.assert_array_equal(plain["logits/bias"], penalized["logits/bias"])


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_cifar_cnn_with_batch_norm_and_dropout(batch_norm: str) -> None:
    from cnnlab import Train

    options = {"batch_norm": batch_norm, "dropout": 0.5, "conv_dropout": 0.2}
    with Train(model="cifar_cnn", model_options=options) as train, train.build_graph().as_default():
        parameters = sum(int(np.prod(v.shape)) for v in v1.trainable_variables())
    assert parameters == 233_130 + 2 * (64 + 64 + 32 + 128 + 64)
