"""Weights of Keras Applications: the same logits, and files that do not fit."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Tower, building
from cnnlab.models import MODELS
from cnnlab.models.pretrained.keras_weights import load_keras_weights

CLASSES = 10
# The usual size, and a small or an odd one.
SIZES = {
    "vgg16": (224, 32),
    "vgg19": (64, 32),
    "resnet50": (224, 75),
    "inception_v3": (299, 76),
    "densenet121": (224, 65),
    "mobilenet_v2": (224, 75),
    "efficientnet_b0": (224, 75),
}
KERAS_NAMES = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "inception_v3": "InceptionV3",
    "densenet121": "DenseNet121",
    "mobilenet_v2": "MobileNetV2",
    "efficientnet_b0": "EfficientNetB0",
}


def keras_network(name: str, size: int) -> Any:
    """Return Keras's network; batch norm is random too, so that a mix-up changes the logits."""
    import keras

    network = getattr(keras.applications, KERAS_NAMES[name])(
        weights=None,
        classes=CLASSES,
        classifier_activation=None,
        input_shape=(size, size, 3),
    )
    rng = np.random.default_rng(7)
    values = []
    for weight in network.weights:
        value = weight.numpy()
        if weight.path.startswith("normalization"):  # of pixels: the identity
            pass
        elif value.ndim == 1:
            is_scale = weight.name in ("gamma", "moving_variance")
            low, high = (0.5, 1.5) if is_scale else (-0.2, 0.2)
            value = rng.uniform(low, high, value.shape)
        elif value.ndim == 4:
            # Otherwise the differences between images would vanish.
            value = (4 if name == "mobilenet_v2" else 2) * value
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
@pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")  # Keras with NumPy 2
@pytest.mark.parametrize(
    ("name", "size"), [(name, size) for name, sizes in SIZES.items() for size in sizes]
)
def test_same_logits_as_keras_s_network(name: str, size: int, tmp_path: Path) -> None:
    """The files are those that Keras itself writes, in its three formats."""
    network = keras_network(name, size)
    images = np.random.default_rng(8).normal(size=(2, size, size, 3)).astype(np.float32)
    images[1] *= 0.3
    # EfficientNet of Keras takes grey levels, and divides them by 255 first.
    expected = network.predict(images * (255 if name == "efficientnet_b0" else 1), verbose=0)
    assert np.ptp(expected, axis=0).max() > 1e-3 * np.abs(expected).max()  # logits differ
    found = []
    files = {"n.weights.h5": network.save_weights, "n.h5": network.save, "n.keras": network.save}
    for file, save in files.items():
        save(tmp_path / file)
        weights = load_keras_weights(tmp_path / file, name, image_size=size)
        (tmp_path / file).unlink()  # VGG's is half a gigabyte
        found.append(weights)
    for other in found[1:]:
        assert found[0].keys() == other.keys()
        for variable, value in found[0].items():
            np.testing.assert_array_equal(other[variable], value, err_msg=variable)
    logits = our_logits(name, images, found[0])
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()


def legacy(file: Any, layers: dict[str, dict[str, Any]]) -> None:
    """Write weights in the format of Keras 2."""
    file.attrs["layer_names"] = np.array([name.encode() for name in layers], "S")
    for name, weights in layers.items():
        group = file.create_group(name)
        group.attrs["weight_names"] = np.array([key.encode() for key in weights], "S")
        for key, value in weights.items():
            group[key] = value


def vgg_like(**changes: Any) -> dict[str, dict[str, Any]]:
    """Return layers with the shapes of VGG-16, without its dense layers.

    A file of them is a few MB, too large to be checked in.
    """
    filters, layers, before = (64, 128, 256, 512, 512), {}, 3
    for block, (count, after) in enumerate(zip((2, 2, 3, 3, 3), filters, strict=True), 1):
        for number in range(1, count + 1):
            name = f"block{block}_conv{number}"
            layers[name] = {
                f"{name}/kernel:0": np.zeros((3, 3, before, after), np.float32),
                f"{name}/bias:0": np.full(after, block + number / 10, np.float32),
            }
            before = after
        layers[f"block{block}_pool"] = {}
    return {**layers, **changes}


def write(path: Path, layers: dict[str, dict[str, Any]]) -> Path:
    with h5py.File(path, "w") as file:
        legacy(file, layers)
    return path


@pytest.mark.slow
def test_weights_without_dense_layers_and_layers_that_do_not_fit(tmp_path: Path) -> None:
    weights = load_keras_weights(write(tmp_path / "notop.h5", vgg_like()), "vgg16")
    assert len(weights) == 2 * 13
    assert not any(name.startswith(("dense", "logits")) for name in weights)
    assert (weights["block4/conv3/bias"] == np.float32(4.3)).all()
    path = tmp_path / "notop.h5"
    with pytest.raises(CnnlabError, match="has 13 convolution layers, but vgg19 has 16"):
        load_keras_weights(path, "vgg19")
    with pytest.raises(UsageError, match="no Keras weights for the model squeezenet, only for "):
        load_keras_weights(path, "squeezenet")
    with pytest.raises(UsageError, match="takes no width"):
        load_keras_weights(path, "vgg16", width=3)
    wrong = {"kernel": np.zeros((3, 3, 64, 100)), "bias": np.zeros(100)}
    message = (
        "layer block2_conv1 has weights of shape 3x3x64x100, 100, but block2/conv1 of vgg16 has "
    )
    with pytest.raises(CnnlabError, match=message + "3x3x64x128, 128"):
        load_keras_weights(write(path, vgg_like(block2_conv1=wrong)), "vgg16")
