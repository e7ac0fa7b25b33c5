"""Weights of Keras Applications: the same logits; files that are no weight files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.keras_weights import load_keras_weights
from cnnlab.models import MODELS
from cnnlab.tf1 import tf
from cnnlab.tower import Tower, building

CLASSES = 10
SIZES = {"vgg16": 224, "resnet50": 224, "inception_v3": 299, "densenet121": 224}
KERAS_NAMES = {
    "vgg16": "VGG16",
    "resnet50": "ResNet50",
    "inception_v3": "InceptionV3",
    "densenet121": "DenseNet121",
}


def keras_network(name: str) -> Any:
    """Keras's network; batch norm's statistics are random too, so that a mix-up shows."""
    import keras

    network = getattr(keras.applications, KERAS_NAMES[name])(
        weights=None, classes=CLASSES, classifier_activation=None
    )
    rng = np.random.default_rng(7)
    values = []
    for weight in network.weights:
        value = weight.numpy()
        if value.ndim == 1:
            is_scale = weight.name in ("gamma", "moving_variance")
            value = rng.uniform(0.5, 1.5, value.shape) if is_scale else rng.normal(0, 0.1, value.shape)
        values.append(value)
    network.set_weights(values)
    return network


def our_logits(name: str, images: Any, weights: dict[str, Any]) -> Any:
    with tf.Graph().as_default(), tf.Session() as session:
        with building(Tower(1)):
            logits = MODELS[name](tf.constant(images), CLASSES, training=False)
        variables = {v.op.name: v for v in tf.global_variables()}
        assert variables.keys() == weights.keys()
        for variable_name, variable in variables.items():
            variable.load(weights[variable_name], session)
        return session.run(logits)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERAS_NAMES)
def test_same_logits_as_keras_s_network(name: str, tmp_path: Path) -> None:
    network = keras_network(name)
    size = SIZES[name]
    images = np.random.default_rng(8).normal(size=(2, size, size, 3)).astype(np.float32)
    expected = network.predict(images, verbose=0)
    assert np.ptp(expected, axis=0).max() > 1e-3 * np.abs(expected).max()  # images tell
    found = []
    for file, save in (("n.weights.h5", network.save_weights), ("n.h5", network.save)):
        save(tmp_path / file)
        weights = load_keras_weights(tmp_path / file, name)
        (tmp_path / file).unlink()  # VGG's is half a gigabyte
        found.append(weights)
    assert found[0].keys() == found[1].keys()
    for variable, value in found[0].items():
        np.testing.assert_array_equal(found[1][variable], value, err_msg=variable)
    logits = our_logits(name, images, found[0])
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()
