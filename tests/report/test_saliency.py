"""Gradient and Grad-CAM against back-propagation by hand, in NumPy."""

from typing import Any

import numpy as np

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.data.specs import DATASETS, DatasetSpec
from cnnlab.graph.inference_graph import build_inference_graph
from cnnlab.graph.parts import Parts
from cnnlab.models.mnist import mnist_perceptron
from cnnlab.report.saliency import build_saliency, run_saliency

SPEC = DatasetSpec("small", (6, 6, 3), ("a", "b", "c"), 10, 10)


def network(images: Any, num_classes: int, *, training: bool) -> Any:
    x = layers.conv2d(images, 4, 3, activation="relu", name="conv")  # [b, 4, 4, 4]
    x = layers.average_pooling2d(x, 2, 2, name="pool")
    return layers.dense(layers.flatten(x), num_classes, name="logits")


def by_hand(
    pixels: np.ndarray, weights: dict[str, np.ndarray], chosen: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return both maps of one image float64 [6, 6, 3], range [0, 1]."""
    kernel, bias = weights["conv/kernel"], weights["conv/bias"]
    before = np.zeros((4, 4, 4))
    for row in range(4):
        for column in range(4):
            patch = pixels[row : row + 3, column : column + 3]
            before[row, column] = np.tensordot(patch, kernel, 3) + bias
    maps = np.maximum(before, 0)
    # A pooled value is the mean of four positions, so each of them gets a quarter of its weight.
    pooled = weights["logits/kernel"][:, chosen].reshape(2, 2, 4)
    to_maps = pooled.repeat(2, axis=0).repeat(2, axis=1) / 4
    grad_cam = np.maximum((maps * to_maps.mean(axis=(0, 1))).sum(axis=2), 0)
    to_pixels = np.zeros((6, 6, 3))
    passed = to_maps * (before > 0)
    for row in range(4):
        for column in range(4):
            to_pixels[row : row + 3, column : column + 3] += kernel @ passed[row, column]
    return np.abs(to_pixels).max(axis=2), grad_cam


def test_both_maps() -> None:
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (5, 6, 6, 3)).astype(np.uint8)
    classes = np.array([0, 1, 2, 2, 1])
    with tf.Graph().as_default(), tf.Session() as session:
        inference = build_inference_graph(Config(), SPEC, Parts(network), as_written=True)
        saliency = build_saliency(inference)
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            variable.load(rng.normal(size=variable.shape), session)
        weights = session.run({v.op.name: v for v in tf.global_variables()})
        found = run_saliency(session, inference, saliency, images, classes)
    assert saliency.cam_layer == "conv"
    assert found.grad_cam is not None
    expected = [by_hand(x / 255, weights, c) for x, c in zip(images, classes, strict=True)]
    np.testing.assert_allclose(found.gradient, [pair[0] for pair in expected], rtol=1e-4)
    np.testing.assert_allclose(found.grad_cam, [pair[1] for pair in expected], rtol=1e-4, atol=1e-5)
    assert (found.grad_cam > 0).any()
    assert (found.grad_cam == 0).any()


def test_no_convolution() -> None:
    """The gradient of a linear network is its weights; there is no Grad-CAM."""
    images = np.zeros((1, 28, 28, 1), np.uint8)
    with tf.Graph().as_default(), tf.Session() as session:
        inference = build_inference_graph(
            Config(scaling="symmetric"), DATASETS["mnist"], Parts(mnist_perceptron)
        )
        saliency = build_saliency(inference)
        session.run(tf.global_variables_initializer())
        kernel = session.run(tf.global_variables()[0])
        found = run_saliency(session, inference, saliency, images, np.array([7]))
    assert found.grad_cam is None
    np.testing.assert_allclose(found.gradient[0], np.abs(kernel[:, 7]).reshape(28, 28), rtol=1e-6)
