"""The network of the CIFAR-10 speed record (recipes `airbench94`, `airbench94_muon`).

Keller Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.data_start import frozen_variable

WIDTHS = (64, 256, 256)
WHITENING_IMAGES = 5000
WHITENING_EPSILON = 5e-4  # added to each eigenvalue


def airbench94(images: Any, num_classes: int, *, training: bool, unit_head: bool = False) -> Any:
    """Build a fixed whitening convolution and three groups of two 3x3 convolutions.

    The network has no residual connections. It has 1,971,352 trained parameters for 32x32x3 images
    and 10 classes:
        whitening     a bias of 24
        kernels       3*3*(24*64 + 64*64 + 64*256 + 256*256 + 256*256 + 256*256) = 1,967,616
        batch norm    2*(64 + 256 + 256) = 1,152 shifts
        logits        256*10 = 2,560
    The 2*2*3*24 = 288 weights of the whitening kernel are not trained.

    Args:
        images: float32 [batch, height, width, channels], normalized, about 32x32: each of the last
            maps is pooled to one value.
        num_classes: number of logits.
        training: whether batch norm uses the batch's statistics.
        unit_head: whether the last layer is that of the record's variant with the Muon optimizer.
            Its kernel starts with standard deviation 1, and its outputs are divided by 256 instead
            of 9.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """

    def normalize(x: Any, name: str) -> Any:
        """Add batch norm without a scale, and gelu."""
        # The record uses epsilon 1e-12. On a GPU cuDNN computes batch norm, and it accepts no
        # epsilon below 1e-5.
        x = layers.batch_normalization(
            x,
            momentum=0.6,
            epsilon=1.001e-5,
            scale=False,
            training=training,
            name=f"{name}_norm",
        )
        return layers.activate(x, "gelu", name=f"{name}_gelu")

    conv: dict[str, Any] = {
        "padding": "same",
        "use_bias": False,
        "kernel_initializer": "dirac",
    }
    x = images  # [b, 32, 32, 3]
    x = layers.activate(_whitening_convolution(x, "whitening"), "gelu", name="whitening_gelu")
    for group, width in enumerate(WIDTHS, start=1):  # [b, 31, 31, 24]
        x = layers.conv2d(x, width, 3, name=f"conv{group}_1", **conv)
        x = layers.max_pooling2d(x, 2, 2, name=f"pool{group}")  # 15x15, 7x7, 3x3
        x = normalize(x, f"conv{group}_1")
        x = normalize(layers.conv2d(x, width, 3, name=f"conv{group}_2", **conv), f"conv{group}_2")
    x = tf.reduce_max(x, axis=[1, 2])  # [b, 256]
    if unit_head:
        start, divisor = tf.random_uniform_initializer(-(3**0.5), 3**0.5), 256
    else:
        start, divisor = "dirac", 9
    x = layers.dense(x, num_classes, name="logits", use_bias=False, kernel_initializer=start)
    return x * (1 / divisor)


def _whitening_convolution(inputs: Any, name: str) -> Any:
    """Build an unpadded 2x2 convolution with `whitening_filters` and a trained bias.

    Args:
        inputs: float32 [batch, height, width, channels].
        name: scope of the variables `kernel`, which is not trained, and `bias`.

    Returns:
        float32 [batch, height - 1, width - 1, 8 * channels].
    """
    channels = int(inputs.shape[-1])
    filters = 2 * 2 * 2 * channels
    with tf.variable_scope(name, use_resource=True):
        kernel = frozen_variable(
            "kernel", [2, 2, channels, filters], inputs, whitening_filters, WHITENING_IMAGES
        )
        bias = tf.get_variable("bias", [filters], initializer=tf.zeros_initializer())
        return tf.nn.conv2d(inputs, kernel, 1, "VALID") + bias  # [b, h - 1, w - 1, filters]


def whitening_filters(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return filters that whiten the images' 2x2 windows, and the negatives of these filters.

    Whitened outputs are uncorrelated (section 3.2 of the paper). The n windows are the rows of a
    matrix P. Its second moments, which are not centred, have the eigenvectors U and the eigenvalues
    d:

        P' P / n = U diag(d) U'

    The filters are the columns of U / sqrt(d + 5e-4), in decreasing order of the eigenvalues.

    Args:
        images: float32 [number, height, width, channels].

    Returns:
        float32 [2, 2, channels, 8 * channels].
    """
    height, width, channels = images.shape[1:]
    size = 4 * channels
    moments, count = np.zeros([size, size]), 0
    for image in images:
        views = [image[i : height - 1 + i, j : width - 1 + j] for i in (0, 1) for j in (0, 1)]
        windows = np.stack(views, axis=2).reshape(-1, size).astype(np.float64)
        moments += windows.T @ windows
        count += len(windows)
    values, vectors = np.linalg.eigh(moments / max(count, 1))
    vectors = vectors[:, ::-1] / np.sqrt(values[::-1] + WHITENING_EPSILON)
    # The sign of an eigenvector is arbitrary. It does not matter here, as both signs are used.
    filters = np.concatenate([vectors, -vectors], axis=1)
    return filters.reshape(2, 2, channels, 2 * size).astype(np.float32)
