"""Convolutions by their definition, in float64, to hold the fast ones against."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnlab.base.tf1 import tf


def correlate(images: Any, kernel: Any, padding: str) -> Any:
    """The convolution by its definition, in float64."""
    before = (len(kernel) - 1) // 2 if padding == "same" else 0
    x = np.pad(images.astype(np.float64), [(0, 0), (before, before), (before, before), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("bhwcij,ijcf->bhwf", windows, kernel.astype(np.float64), optimize=True)


def random(*shape: int, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def assert_convolves(
    convolve: Callable[[Any, Any, str], Any], shape: tuple[int, ...], padding: str
) -> None:
    """The outputs, of no images too, and both gradients are those of the definition.

    Args: shape: height, width, channels in and out, and side of the kernel.
    """
    height, width, channels, filters, side = shape
    images, kernel = (
        random(2, height, width, channels, seed=1),
        random(side, side, channels, filters, seed=2),
    )
    expected = correlate(images, kernel, padding)
    of_outputs = random(*expected.shape, seed=3)
    with tf.Graph().as_default(), tf.Session() as session:
        x, w = tf.placeholder(tf.float32, [None, *images.shape[1:]]), tf.constant(kernel)
        y = convolve(x, w, padding)
        assert y.shape.as_list() == [None, *expected.shape[1:]]
        wanted = [y, *tf.gradients(y, [x, w], tf.constant(of_outputs))]
        found = session.run(wanted, {x: images})
        nothing = session.run(y, {x: images[:0]})
    assert nothing.shape == (0, *expected.shape[1:])
    flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    margin = (side - 1) // 2 if padding == "same" else side - 1
    around = [(0, 0), (margin, margin), (margin, margin), (0, 0)]
    of_images = correlate(np.pad(of_outputs, around), flipped, "valid")
    before = (side - 1) // 2 if padding == "same" else 0
    padded = np.pad(images, [(0, 0), (before, before), (before, before), (0, 0)])
    of_kernel = correlate(padded.transpose(3, 1, 2, 0), of_outputs.transpose(1, 2, 0, 3), "valid")
    gradients = of_images, of_kernel.transpose(1, 2, 0, 3)
    for mine, true in zip(found, (expected, *gradients), strict=True):
        assert mine.shape == true.shape
        np.testing.assert_allclose(mine, true, rtol=0, atol=2e-5 * true.std())


def rounding_errors(convolve: Callable[[Any, Any, str], Any], side: int = 5) -> tuple[float, float]:
    """Standard deviation of the error of this and of TensorFlow's convolution, in that of the
    outputs, for kernels of this side and 64 channels."""
    images, kernel = random(8, 16, 16, 64, seed=1), random(side, side, 64, 64, seed=2)
    exact = correlate(images, kernel, "same")
    with tf.Graph().as_default(), tf.Session() as session:
        x, w = tf.constant(images), tf.constant(kernel)
        both = session.run([convolve(x, w, "same"), tf.nn.conv2d(x, w, 1, "SAME")])
    mine, plain = (float(np.std(found - exact) / np.std(exact)) for found in both)
    return mine, plain
