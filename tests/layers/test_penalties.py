"""Penalties: whatever way a model makes them, each enters the objective once, in training only."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import legacy_convolutional, legacy_core, tf
from cnnlab.layers.tower import LayerDefaults, Tower, building
from tests import small_run

pytestmark = pytest.mark.filterwarnings("ignore:.tf.layers.*is deprecated:UserWarning")


def l2(weights: Any) -> Any:
    return 0.05 * tf.reduce_sum(tf.square(weights))


def product(images: Any, num_classes: int, **kwargs: Any) -> Any:
    """Return logits from a weight `w` by `tf.get_variable`, and the weight."""
    x = layers.flatten(images)
    matrix = tf.get_variable("w", [int(x.shape[1]), num_classes], **kwargs)
    return tf.matmul(x, matrix), matrix


def by_collection(images: Any, num_classes: int, *, training: bool) -> Any:
    logits, matrix = product(images, num_classes)
    tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, l2(matrix))
    return logits


def by_losses(images: Any, num_classes: int, *, training: bool) -> Any:
    logits, matrix = product(images, num_classes)
    tf.losses.add_loss(l2(matrix))
    return logits


def by_both_collections(images: Any, num_classes: int, *, training: bool) -> Any:
    logits, matrix = product(images, num_classes)
    penalty = l2(matrix)
    for key in (tf.GraphKeys.REGULARIZATION_LOSSES, "losses", "losses"):
        tf.add_to_collection(key, penalty)
    return logits


def by_get_variable(images: Any, num_classes: int, *, training: bool) -> Any:
    logits, _ = product(images, num_classes, regularizer=l2)
    with tf.variable_scope("", reuse=True):
        tf.get_variable("w", regularizer=l2)  # the same variable: no second penalty
    return logits


def by_variable_scope(images: Any, num_classes: int, *, training: bool) -> Any:
    with tf.variable_scope("", regularizer=l2):
        logits, _ = product(images, num_classes)
    return logits


def by_layer(images: Any, num_classes: int, *, training: bool) -> Any:
    x = layers.flatten(images)
    return layers.dense(x, num_classes, use_bias=False, kernel_regularizer=l2, name="w")


def by_legacy_layer(images: Any, num_classes: int, *, training: bool) -> Any:
    """`tf.layers.dense`, as TensorFlow has it with TF_USE_LEGACY_KERAS=1."""
    x = layers.flatten(images)
    return legacy_core.dense(x, num_classes, use_bias=False, kernel_regularizer=l2, name="w")


def by_tf_layers(images: Any, num_classes: int, *, training: bool) -> Any:
    x = tf.layers.flatten(images)
    return tf.layers.dense(x, num_classes, use_bias=False, kernel_regularizer=l2, name="w")


def by_option(images: Any, num_classes: int, *, training: bool) -> Any:
    return product(images, num_classes)[0]


def by_option_on_a_variable(images: Any, num_classes: int, *, training: bool) -> Any:
    x = layers.flatten(images)
    return tf.matmul(x, tf.Variable(tf.zeros([int(x.shape[1]), num_classes]), name="w"))


MODELS = [
    *(by_collection, by_losses, by_both_collections, by_get_variable, by_variable_scope),
    *(by_layer, by_legacy_layer, by_tf_layers, by_option, by_option_on_a_variable),
]
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "micro-batches": {"micro_batches": 3},
    "averages": {"ema_decay": 0.5, "eval_weights": "ema"},
}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.slow
def test_each_penalty_is_in_the_objective_once(tmp_path: Path, model: Any, way: str) -> None:
    """One step of gradient descent differs by rate * 2 * 0.05 * the weight."""
    l2_option = {"l2": 0.05} if "option" in model.__name__ else {}
    options = {
        "optimizer": "sgd",
        "schedule": "constant",
        "learning_rate": 0.1,
        "steps": 1,
        "augment": [],
        "kernel_initializer": "he_normal",
        **WAYS[way],
    }
    with small_run.make(tmp_path / "start", model, **options) as train:
        (start,) = [v for n, v in small_run.variables(train).items() if n in ("w", "w/kernel")]
    found = small_run.run(tmp_path / "found", model, **options, **l2_option)
    # The same net and start, without any penalty.
    plain = small_run.run(tmp_path / "plain", _without_penalty(model), **options)
    for name in {"w", "w/kernel"} & found.keys():
        expected = plain[name] - 0.1 * 2 * 0.05 * start
        np.testing.assert_allclose(found[name], expected, atol=1e-5)
        assert np.abs(found[name] - plain[name]).max() > 1e-3


def _without_penalty(model: Any) -> Any:
    """Return a model with the same variable and no penalty."""
    is_layer = "layer" in model.__name__
    if model is by_option_on_a_variable:
        return by_option_on_a_variable

    def net(images: Any, num_classes: int, *, training: bool) -> Any:
        if is_layer:
            return layers.dense(layers.flatten(images), num_classes, use_bias=False, name="w")
        return product(images, num_classes)[0]

    return net


def test_a_penalty_is_not_in_the_loss_of_inference(tmp_path: Path) -> None:
    with small_run.make(tmp_path, by_collection, steps=1) as train:
        train.train()
        loss = train.evaluate()["loss"]
        logits = train.session.run(train.logits, {train.images_ph: train.data.split("test").images})
    labels = small_run.arrays()[1][1]
    shifted = logits - logits.max(axis=1, keepdims=True)
    expected = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    assert loss == pytest.approx(expected.mean(), rel=1e-4)


def made(build: Any, **defaults: Any) -> list[float]:
    """Return the penalties of a tower."""
    with tf.Graph().as_default(), tf.Session() as session:
        for _ in range(2):  # the second tower finds its variables made
            with building(Tower(1, defaults=LayerDefaults(**defaults))) as tower:
                build()
        session.run(tf.global_variables_initializer())
        return session.run(tower.penalties)


ONES = {f"{weight}_initializer": tf.ones_initializer() for weight in ("kernel", "bias")}
IMAGES = np.ones([2, 4, 4, 3], np.float32)


def total(weights: Any) -> Any:
    return tf.reduce_sum(weights)


REGULARIZERS = {
    "conv1d kernel": (
        9 * 2,
        lambda r: layers.conv1d(IMAGES[0], 2, 3, kernel_regularizer=r, **ONES),
    ),
    "conv2d bias": (2, lambda r: layers.conv2d(IMAGES, 2, 3, bias_regularizer=r, **ONES)),
    "conv2d_transpose kernel": (
        9 * 3 * 2,
        lambda r: layers.conv2d_transpose(IMAGES, 2, 3, kernel_regularizer=r, **ONES),
    ),
    "separable depthwise": (
        9 * 3,
        lambda r: layers.separable_conv2d(
            *(IMAGES, 2, 3), depthwise_regularizer=r, depthwise_initializer=tf.ones_initializer()
        ),
    ),
    "separable pointwise": (
        3 * 2,
        lambda r: layers.separable_conv2d(
            *(IMAGES, 2, 3), pointwise_regularizer=r, pointwise_initializer=tf.ones_initializer()
        ),
    ),
    "gamma": (3, lambda r: layers.batch_normalization(IMAGES, training=True, gamma_regularizer=r)),
    "beta": (
        3,
        lambda r: layers.batch_normalization(
            IMAGES, training=True, beta_regularizer=r, beta_initializer=tf.ones_initializer()
        ),
    ),
    # The mean over the images: each has 5 outputs of 48 + 1.
    "activity of dense": (
        5 * 49,
        lambda r: layers.dense(IMAGES.reshape(2, -1), 5, activity_regularizer=r, **ONES),
    ),
    "activity of conv2d": (
        4 * 2 * 28,
        lambda r: layers.conv2d(IMAGES, 2, 3, activity_regularizer=r, **ONES),
    ),
}


@pytest.mark.parametrize("case", REGULARIZERS)
def test_every_regularizer_of_every_layer(case: str) -> None:
    expected, build = REGULARIZERS[case]
    assert made(lambda: build(total)) == [pytest.approx(expected)]


def test_a_layers_own_regularizer_replaces_the_option() -> None:
    def build() -> None:
        layers.conv2d(IMAGES, 2, 3, kernel_regularizer=total, **ONES)
        layers.separable_conv2d(IMAGES, 2, 3)
        tf.get_variable("w", [2, 2], initializer=tf.ones_initializer(), regularizer=total)
        tf.get_variable("v", [2, 2], initializer=tf.ones_initializer())
        tf.get_variable("bias", [7], initializer=tf.ones_initializer())
        tf.get_variable("fixed", [7, 2], initializer=tf.ones_initializer(), trainable=False)

    found = made(build, l1=0.5)
    assert len(found) == 5  # two kernels of the separable layer
    assert [found[0], *found[3:]] == [54, 4, 0.5 * 4]


def test_names_of_regularizers_are_keras_s() -> None:
    def build() -> None:
        layers.conv2d(IMAGES, 2, 3, kernel_regularizer="l2", **ONES)

    assert made(build) == [pytest.approx(0.01 * 54)]


def test_a_penalty_must_be_a_scalar() -> None:
    def build() -> None:
        tf.losses.add_loss(tf.ones([3], name="own"))

    with pytest.raises(CnnlabError, match=r"penalty model/own:0 has the shape \(3,\)"):
        made(build)


def test_legacy_layers_work_as_before_outside_a_model() -> None:
    with tf.Graph().as_default(), building(Tower(1)):
        legacy_convolutional.conv2d(tf.constant(IMAGES), 2, 3)
    with tf.Graph().as_default():
        legacy_convolutional.conv2d(tf.constant(IMAGES), 2, 3, kernel_regularizer=total)
        assert len(tf.losses.get_regularization_losses()) == 1


@pytest.mark.slow
def test_one_dense_layer_with_a_penalty_is_not_compiled(tmp_path: Path) -> None:
    """Compiled steps are for networks without penalties; see `graph.compiled_steps`."""
    code = """
from cnnlab import Train, layers, tf
from cnnlab.graph import training_graph
chosen = []
original = training_graph.steps_to_compile
training_graph.steps_to_compile = lambda *a: chosen.append(original(*a)) or chosen[-1]
def net(images, num_classes, *, training, penalty=False):
    logits = layers.dense(layers.flatten(images), num_classes)
    if penalty:
        tf.losses.add_loss(tf.reduce_sum(logits) * 0)
    return logits
for penalty in (False, True):
    with Train(model=net, model_options={"penalty": penalty}, dataset="shapes", batch_size=50) as t:
        t.build_graph()
print(chosen[0] > 0, chosen[1])
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, cwd=tmp_path
    )
    assert found.stdout.splitlines()[-1:] == ["True 0"], found.stderr
