"""The model summary against numbers derived by hand and TensorFlow's own profiler."""

from typing import Any

import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.data.specs import DATASETS, DatasetSpec
from cnnlab.graph.inference_graph import InferenceGraph, build_inference_graph
from cnnlab.graph.model_summary import REST, first_weights, last_feature_maps, summarize
from cnnlab.graph.parts import Parts
from cnnlab.graph.update.averages import Averages
from cnnlab.models.cifar_cnn import cifar_cnn
from cnnlab.models.mnist import mnist_cnn, mnist_perceptron

SMALL = DatasetSpec("small", (8, 8, 3), ("a", "b"), 10, 10)


def build(model: Any, spec: DatasetSpec = SMALL, **options: Any) -> InferenceGraph:
    with tf.Graph().as_default():
        config = Config(**options)
        parts = Parts.of(config, {"model": model})
        return build_inference_graph(config, spec, parts, as_written=True)


def test_cifar_cnn() -> None:
    rows = {row.name: row for row in summarize(build(cifar_cnn, DATASETS["cifar10"]))}
    assert {name: row.output_shape for name, row in rows.items()} == {
        "conv1": (32, 32, 64),
        "pool1": (16, 16, 64),
        "conv2": (16, 16, 64),
        "pool2": (8, 8, 64),
        "conv3": (8, 8, 32),
        "pool3": (4, 4, 32),
        "flatten": (512,),
        "dense1": (128,),
        "dense2": (64,),
        "logits": (10,),
    }
    assert {name: (row.parameters, row.flops) for name, row in rows.items() if row.flops} == {
        "conv1": (5 * 5 * 3 * 64 + 64, 2 * 32 * 32 * 64 * 5 * 5 * 3),
        "conv2": (5 * 5 * 64 * 64 + 64, 2 * 16 * 16 * 64 * 5 * 5 * 64),
        "conv3": (5 * 5 * 64 * 32 + 32, 2 * 8 * 8 * 32 * 5 * 5 * 64),
        "dense1": (512 * 128 + 128, 2 * 512 * 128),
        "dense2": (128 * 64 + 64, 2 * 128 * 64),
        "logits": (64 * 10 + 10, 2 * 64 * 10),
    }
    assert sum(row.parameters for row in rows.values()) == 233_130
    assert sum(row.fixed_parameters for row in rows.values()) == 0
    assert rows["conv1"].operations == ("Conv2D 5x5", "BiasAdd", "Relu")
    assert rows["pool1"].operations == ("MaxPool 2x2",)


def test_mnist_cnn() -> None:
    rows = {row.name: row for row in summarize(build(mnist_cnn, DATASETS["mnist"]))}
    assert sum(row.parameters for row in rows.values()) == 3_274_634
    assert {name: row.flops for name, row in rows.items() if row.flops} == {
        "conv1": 2 * 28 * 28 * 32 * 5 * 5,
        "conv2": 2 * 14 * 14 * 64 * 5 * 5 * 32,
        "dense1": 2 * 7 * 7 * 64 * 1024,
        "logits": 2 * 1024 * 10,
    }


def varied(images: Any, num_classes: int, *, training: bool) -> Any:
    """Strides, 'valid' padding, a depthwise convolution, weights used twice, something after the
    last layer."""
    x = layers.conv2d(images, 6, 3, strides=2, activation="relu", name="conv")  # [b, 3, 3, 6]
    x = layers.batch_normalization(x, training=training, name="norm")
    kernel = tf.get_variable("depthwise", [2, 2, 6, 2], use_resource=True)
    x = tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME")  # [b, 3, 3, 12]
    x = layers.dense(layers.flatten(x), 5, name="dense")
    shared = tf.get_variable("shared", [5, 5], use_resource=True)
    x = layers.activate(tf.matmul(tf.matmul(x, shared), shared), "tanh", name="twice")
    return tf.matmul(x, tf.get_variable("last", [5, num_classes], use_resource=True))


def test_whatever_a_function_makes() -> None:
    rows = {row.name: row for row in summarize(build(varied))}
    assert {name: (row.parameters, row.flops) for name, row in rows.items()} == {
        "conv": (3 * 3 * 3 * 6 + 6, 2 * 3 * 3 * 6 * 27),
        "norm": (2 * 6, 0),
        "flatten": (2 * 2 * 6 * 2, 2 * 3 * 3 * 12 * 4),  # with the depthwise convolution before it
        "dense": (108 * 5 + 5, 2 * 108 * 5),
        "twice": (25, 2 * 2 * 5 * 5),
        REST: (5 * 2, 2 * 5 * 2),
    }
    assert {name: row.fixed_parameters for name, row in rows.items() if row.fixed_parameters} == {
        "norm": 2 * 6
    }
    assert rows["conv"].operations == ("Conv2D 3x3, stride 2", "BiasAdd", "Relu")
    assert rows["conv"].output_shape == (3, 3, 6)


def test_flops_are_the_profilers() -> None:
    """TensorFlow's own count of the two kinds of operation, at a batch of one image."""
    inference = build(varied)
    graph = tf.Graph()
    with graph.as_default():
        one = tf.zeros([1, 8, 8, 3], tf.uint8)
        definition = inference.logits.graph.as_graph_def()
        tf.import_graph_def(definition, {inference.images_ph.name: one}, name="")
        options = tf.profiler.ProfileOptionBuilder(
            tf.profiler.ProfileOptionBuilder.float_operation()
        )
        profile = tf.profiler.profile(graph, cmd="op", options=options.with_empty_output().build())
    counted = {child.name: child.float_ops for child in _chain(profile)}
    kinds = ("Conv2D", "MatMul", "DepthwiseConv2dNative")
    assert sum(row.flops or 0 for row in summarize(inference)) == sum(
        counted[kind] for kind in kinds
    )


def _chain(node: Any) -> Any:
    yield node
    for child in node.children:
        yield from _chain(child)


def test_a_dense_layer_over_places() -> None:
    """Its matrix has a row a place, which is known only once the batch is."""

    def model(images: Any, num_classes: int, *, training: bool) -> Any:
        x = layers.dense(tf.reshape(images, [-1, 64, 3]), 7, name="mixing")
        return layers.dense(layers.flatten(x), num_classes, name="logits")

    mixing = summarize(build(model))[0]
    assert (mixing.output_shape, mixing.flops) == ((64, 7), 2 * 64 * 3 * 7)


def test_averages_stand_for_the_weights() -> None:
    config = Config(ema_decay=0.9)
    with tf.Graph().as_default():
        inference = build_inference_graph(config, SMALL, Parts(varied), as_written=True)
        Averages(config, [], 10)
    plain = summarize(build(varied))
    assert summarize(inference) == plain


@pytest.mark.parametrize(
    ("model", "options", "name"),
    [
        (cifar_cnn, {}, "conv3"),
        (cifar_cnn, {"model_options": {"batch_norm": "before"}}, "conv3_relu"),
        (cifar_cnn, {"model_options": {"batch_norm": "after"}}, "conv3_norm"),
        (mnist_perceptron, {}, None),
    ],
)
@pytest.mark.slow
def test_last_feature_maps(model: Any, options: Any, name: str | None) -> None:
    inference = build(model, DATASETS["cifar10"], **options)
    found = last_feature_maps(inference)
    assert (found and found[0]) == name
    assert found is None or found[1] is inference.activations[name]


def test_first_weights() -> None:
    name, weights = first_weights(build(cifar_cnn, DATASETS["cifar10"])) or ("", None)
    assert (name, weights.shape.as_list()) == ("conv1", [5, 5, 3, 64])
    name, weights = first_weights(build(mnist_perceptron, DATASETS["mnist"])) or ("", None)
    assert (name, weights.shape.as_list()) == ("logits", [784, 10])

    def pools_first(images: Any, num_classes: int, *, training: bool) -> Any:
        x = layers.max_pooling2d(images, 2, 2)
        return layers.dense(layers.flatten(x), num_classes)

    assert first_weights(build(pools_first)) is None
