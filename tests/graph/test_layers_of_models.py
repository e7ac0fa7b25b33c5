"""What a report reads from the graphs of cnnlab's networks, in both layouts of images."""

from typing import Any

import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.inference_graph import InferenceGraph, build_inference_graph
from cnnlab.graph.model_summary import (
    channels_first_layers,
    first_weights,
    last_feature_maps,
    summarize,
)
from cnnlab.graph.parts import Parts

GREY = ("lenet5", "lenet5_1998", "stn")
# Of each small model the first layer with weights that sees the image.
FIRST = {
    "lenet5": "c1",
    "lenet5_1998": "c1",
    "age_gender": "conv1",
    "airbench94": "whitening_gelu",
    "cats_dogs": "conv1",
    "cifar_cnn": "conv1",
    "cifar_lrn": "conv1",
    "cifar_two_conv": "conv1",
    "cifar_vgg1": "conv1_1",
    "last_layer": "logits",
    "mnist_best": "conv1_1",
    "mnist_cnn": "conv1",
    "mnist_convnet": "conv1",
    "mnist_mlp": "dense1",
    "mnist_perceptron": "logits",
    "resnet20": "conv1",
    "stn": None,  # a pooling layer is before it
}


def build(model: Any, size: int, channels: int, **options: Any) -> InferenceGraph:
    spec = DatasetSpec("small", (size, size, channels), ("a", "b"), 10, 10)
    named = {"model": model} if isinstance(model, str) else {}
    config = Config(**named, model_options=options)
    parts = Parts.of(config, {} if named else {"model": model})
    with tf.Graph().as_default():
        return build_inference_graph(config, spec, parts, as_written=True)


@pytest.mark.parametrize(
    "name", [n if n.startswith("lenet") else pytest.param(n, marks=pytest.mark.slow) for n in FIRST]
)
def test_the_first_layer_sees_the_image(name: str) -> None:
    found = first_weights(build(name, 28, 1 if name in GREY else 3))
    assert (found and found[0]) == FIRST[name]


def test_channels_first() -> None:
    """The layers are the same, and their outputs have the channels first."""

    def mixed(images: Any, num_classes: int, *, training: bool) -> Any:
        """Build a network that says the layout itself, layer by layer."""
        x = tf.transpose(images, [0, 3, 1, 2])
        x = layers.conv2d(x, 4, 3, data_format="channels_first", name="conv")
        x = layers.activate(x, "relu", name="relu")
        x = layers.max_pooling2d(tf.transpose(x, [0, 2, 3, 1]), 2, 2, name="pool")
        return layers.dense(layers.flatten(x, name="flatten"), num_classes, name="logits")

    last, first = (
        build("cifar_two_conv", 8, 3, data_format=f"channels_{where}")
        for where in ("last", "first")
    )
    assert channels_first_layers(last) == set()
    assert channels_first_layers(first) == {"conv1", "conv2", "pool"}
    assert channels_first_layers(build(mixed, 8, 3)) == {"conv", "relu"}
    for found in (last, first):
        assert (first_weights(found) or ("",))[0] == "conv1"
        assert (last_feature_maps(found) or ("",))[0] == "conv2"
    for one, other in zip(summarize(last), summarize(first), strict=True):
        assert (one.name, one.parameters, one.flops) == (other.name, other.parameters, other.flops)
    rows = {row.name: row for row in summarize(first)}
    assert "Conv2D 3x3" in rows["conv1"].operations
    assert "MaxPool 2x2" in rows["pool"].operations
    assert rows["pool"].output_shape == (50, 4, 4)
