"""The head of the networks: its layers, its parameters, and where it begins."""

from typing import Any

import numpy as np
import pytest

from cnnlab import add_head
from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.graph.parts import Parts
from cnnlab.layers.tower import Tower, building
from cnnlab.models import MODELS, check_model_options, find_model
from cnnlab.models.head import has_own_head

IMAGES = np.random.default_rng(1).normal(size=(2, 5, 4, 3)).astype(np.float32)
WITH_HEAD = {"vgg16": 32, "resnet20": 32, "resnet50": 32, "mobilenet_v2": 32, "inception_v3": 75}


def sizes(name: str, shape: tuple[int, ...], num_classes: int, **options: Any) -> dict[str, int]:
    """Return the number of parameters of each trainable variable."""
    with tf.Graph().as_default(), building(Tower(0)):
        images = tf.placeholder(tf.float32, [None, *shape])
        MODELS[name](images, num_classes, training=False, **options)
        return {v.op.name: v.shape.num_elements() for v in tf.trainable_variables()}


def test_the_parameters_that_the_text_trains() -> None:
    """VGG-16 for 150x150 images: block5, and a head of 256 units over 4 x 4 x 512 features."""
    found = sizes("vgg16", (150, 150, 3), 2, dense_units=[256])
    assert sum(n for name, n in found.items() if name.startswith("block5")) == 7_079_424
    assert sum(n for name, n in found.items() if not name.startswith("block")) == 2_097_922
    assert 4 * 4 * 512 * 256 + 256 + 256 * 2 + 2 == 2_097_922


def test_the_head_alone() -> None:
    found = sizes("feature_head", (1, 8192, 1), 2, dense_units=1024)
    assert list(found) == ["dense1/kernel", "dense1/bias", "logits/kernel", "logits/bias"]
    assert sum(found.values()) == 8_391_682


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("average", IMAGES.mean(axis=(1, 2))),
        ("max", IMAGES.max(axis=(1, 2))),
        ("flatten", IMAGES.reshape(2, -1)),
    ],
)
@pytest.mark.parametrize("units", [(), 6, [6, 5]])
def test_pooling_and_hidden_layers(pooling: Any, expected: Any, units: Any) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        with building(Tower(0)) as tower:
            logits = add_head(
                tf.constant(IMAGES), 3, training=False, pooling=pooling, dense_units=units
            )
        session.run(tf.global_variables_initializer())
        assert tower.head is not None
        features, found = session.run([tower.head.features, logits])
        weights = [session.run(v) for v in tf.trainable_variables()]
    np.testing.assert_allclose(features, expected, rtol=1e-6)
    x = expected
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = np.maximum(x @ kernel + bias, 0)
    assert len(weights) == 2 + 2 * (units == 6) + 4 * (units == [6, 5])
    np.testing.assert_allclose(found, x @ weights[-2] + weights[-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", WITH_HEAD)
@pytest.mark.slow
def test_the_networks_say_where_their_head_begins(name: str) -> None:
    side = WITH_HEAD[name]
    with tf.Graph().as_default(), building(Tower(0)) as tower:
        MODELS[name](
            tf.zeros([1, side, side, 3]), 4, training=False, pooling="max", dense_units=[7]
        )
        names = [v.op.name for v in tf.trainable_variables()]
    assert tower.head is not None
    assert tower.head.dense_units == (7,)
    assert names[-4:] == ["dense1/kernel", "dense1/bias", "logits/kernel", "logits/bias"]


@pytest.mark.parametrize(
    ("name", "shape", "one_unit"),
    [
        ("airbench94", (24, 24, 3), False),
        ("cifar_cnn", (24, 24, 3), False),
        ("mnist_cnn", (12, 12, 1), True),
        ("stn", (28, 28, 1), False),
    ],
)
def test_the_last_layer_is_the_head_of_small_networks(
    name: str, shape: tuple[int, ...], one_unit: bool
) -> None:
    """The model `last_layer` shares the variables of the logits, and has the same logits."""
    images = np.random.default_rng(3).normal(size=(2, *shape)).astype(np.float32)
    parts = Parts(MODELS[name], has_one_unit=one_unit)
    with tf.Graph().as_default(), tf.Session() as session:
        with building(Tower(0)) as tower:
            logits = parts.build_logits(tf.constant(images), 2, training=False)
        assert tower.head is not None
        options = tower.head.last
        assert options is not None
        check_model_options(MODELS["last_layer"], options)
        network = tf.global_variables()
        features = tower.head.features[:, None, :, None]
        with building(Tower(0)):
            alone = MODELS["last_layer"](features, 2 - one_unit, training=False, **options)
        assert tf.global_variables() == network
        session.run(tf.global_variables_initializer())
        found, expected = session.run([alone, logits])
    expected = expected[:, 1:] - expected[:, :1] if one_unit else expected
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["lenet5_1998", "squeezenet"])
def test_other_last_layers_are_no_head(name: str) -> None:
    """Distances to fixed points, and a convolution."""
    with tf.Graph().as_default(), building(Tower(0)) as tower:
        Parts(MODELS[name]).build_logits(tf.zeros([1, 64, 64, 3]), 4, training=False)
    assert tower.head is None


def test_only_some_models_choose_the_layers_of_their_head() -> None:
    """Hidden layers of the others are part of the base, whatever their option is called."""
    found = {name for name in MODELS if has_own_head(find_model(name))}
    assert {"vgg16", "resnet20", "mobilenet_v2"} <= found
    assert not {"alexnet", "cifar_vgg1", "mnist_mlp", "mnist_cnn"} & found


def test_arguments_are_checked() -> None:
    for units in (3, [3], [], [3, 4]):
        check_model_options(find_model("resnet50"), {"dense_units": units, "pooling": "flatten"})
    for wrong in (0, [0], "many"):
        with pytest.raises(UsageError, match=r"dense_units=.* is not valid"):
            check_model_options(find_model("resnet50"), {"dense_units": wrong})
    with pytest.raises(UsageError, match="pooling=mean is not valid"):
        check_model_options(find_model("resnet50"), {"pooling": "mean"})


def test_a_second_head_is_refused() -> None:
    with tf.Graph().as_default(), building(Tower(0)):
        add_head(tf.constant(IMAGES), 3, training=False)
        with pytest.raises(UsageError, match="a model has one head"):
            add_head(tf.constant(IMAGES), 3, training=False)
