"""Names, arguments and defaults of the layers are those of `tf.layers`."""

import importlib
import inspect
from typing import Any

import pytest

from cnnlab import layers
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import (
    legacy_convolutional,
    legacy_core,
    legacy_normalization,
    legacy_pooling,
    tf,
)
from cnnlab.layers.tower import Tower, building

# The functions of tf.layers, as TensorFlow 1.15 lists them.
HOMES = {
    "average_pooling1d": legacy_pooling,
    "average_pooling2d": legacy_pooling,
    "average_pooling3d": legacy_pooling,
    "batch_normalization": legacy_normalization,
    "conv1d": legacy_convolutional,
    "conv2d": legacy_convolutional,
    "conv2d_transpose": legacy_convolutional,
    "conv3d": legacy_convolutional,
    "conv3d_transpose": legacy_convolutional,
    "dense": legacy_core,
    "dropout": legacy_core,
    "flatten": legacy_core,
    "max_pooling1d": legacy_pooling,
    "max_pooling2d": legacy_pooling,
    "max_pooling3d": legacy_pooling,
    "separable_conv1d": legacy_convolutional,
    "separable_conv2d": legacy_convolutional,
}

# Every other default, with its reason in docs/guide/model.md.
DELIBERATE = {
    ("*", "data_format"): None,  # as `arrange` says, else channels_last
    ("batch_normalization", "axis"): None,  # likewise, else the last one
    ("batch_normalization", "training"): None,  # must be given
    ("dropout", "training"): None,  # must be given
}
BY_NAME = {"Zeros": "zeros", "Ones": "ones"}  # the initializers, which have names here


@pytest.mark.parametrize("name", HOMES)
def test_the_signature_is_that_of_tf_layers(name: str) -> None:
    theirs = inspect.signature(getattr(HOMES[name], name)).parameters
    ours = inspect.signature(getattr(layers, name)).parameters
    assert list(ours) == list(theirs)
    for argument, parameter in theirs.items():
        assert ours[argument].kind is parameter.kind
        default = BY_NAME.get(type(parameter.default).__name__, parameter.default)
        for place in ("*", name):
            default = DELIBERATE.get((place, argument), default)
        assert ours[argument].default == default, argument


def test_every_function_of_tf_layers_is_there() -> None:
    public = importlib.import_module("tf_keras.api._v1.keras.__internal__.legacy.layers")
    assert {name for name, value in vars(public).items() if inspect.isfunction(value)} == {*HOMES}
    assert {*HOMES} <= {*layers.__all__}
    assert tf.layers is layers


@pytest.mark.parametrize("name", ["batch_normalization", "dropout"])
def test_training_must_be_given(name: str) -> None:
    """tf.layers would compute as in inference, in training too."""
    with (
        tf.Graph().as_default(),
        building(Tower(1)),
        pytest.raises(UsageError, match=f"{name} needs training=training"),
    ):
        getattr(layers, name)(tf.zeros([2, 3]))


def test_a_name_as_the_fourth_argument_is_refused() -> None:
    """It was the name of the layer in earlier versions."""
    with (
        tf.Graph().as_default(),
        building(Tower(1)),
        pytest.raises((CnnlabError, ValueError), match="strides"),
    ):
        layers.conv2d(tf.zeros([2, 4, 4, 1]), 3, 3, "conv1")


def test_dropout_s_noise_shape_and_seed() -> None:
    def masks(**arguments: Any) -> Any:
        with tf.Graph().as_default(), tf.Session() as session:
            with building(Tower(1, tf.constant(0, tf.int64))):
                x = layers.dropout(tf.ones([8, 5, 3]), training=True, name="drop", **arguments)
            return session.run(x)

    whole = masks(noise_shape=[8, 1, 3])
    assert (whole == whole[:, :1]).all()
    assert 0.2 < (whole == 0).mean() < 0.8
    assert (masks() == masks()).all()
    assert (masks(seed=1) == masks(seed=1)).all()
    assert (masks(seed=1) != masks(seed=2)).any()
