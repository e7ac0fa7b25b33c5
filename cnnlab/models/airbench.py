"""The CIFAR-10 speed record's network (Keller Jordan 2024, arXiv 2404.00498; recipes
`airbench94`, `airbench94_muon`)."""

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
    """A frozen whitening convolution, then three groups of two 3x3 convolutions; no residuals.

    Parameters for 32x32x3 and 10 classes, trained ones 1,971,352: whitening bias 24; kernels
    3*3*(24*64 + 64*64 + 64*256 + 256*256 + 256*256 + 256*256) = 1,967,616; shifts of batch norm
    2*(64 + 256 + 256) = 1,152; logits 256*10 = 2,560. The whitening's 2*2*3*24 = 288 are frozen.

    Args:
        images: float32 [batch, height, width, channels], normalized; height and width 32 or so: the
            last maps are pooled to one value each.
        num_classes: number of logits.
        training: whether batch norm goes by the batch.
        unit_head: as the record's Muon variant has it: the last kernel starts with standard
            deviation 1 and its outputs are divided by 256, not 9.

    Returns:
        float32 [batch, num_classes], unscaled.
    """

    def normalize(x: Any, name: str) -> Any:
        # The record has epsilon 1e-12, but cuDNN, which a GPU has it from, takes none below 1e-5.
        settings = {"momentum": 0.6, "epsilon": 1.001e-5, "scale": False}
        x = layers.batch_normalization(x, training=training, name=f"{name}_norm", **settings)
        return layers.activate(x, "gelu", name=f"{name}_gelu")

    conv = {"padding": "same", "use_bias": False, "kernel_initializer": "dirac"}
    x = images  # [b, 32, 32, 3]
    x = layers.activate(_whitening_convolution(x, "whitening"), "gelu", name="whitening_gelu")
    for group, width in enumerate(WIDTHS, start=1):  # [b, 31, 31, 24]
        x = layers.conv2d(x, width, 3, f"conv{group}_1", **conv)
        x = layers.max_pooling2d(x, 2, 2, name=f"pool{group}")  # 15x15, 7x7, 3x3
        x = normalize(x, f"conv{group}_1")
        x = normalize(layers.conv2d(x, width, 3, f"conv{group}_2", **conv), f"conv{group}_2")
    x = tf.reduce_max(x, axis=[1, 2])  # [b, 256]
    if unit_head:
        start, divisor = tf.random_uniform_initializer(-(3**0.5), 3**0.5), 256
    else:
        start, divisor = "dirac", 9
    x = layers.dense(x, num_classes, "logits", use_bias=False, kernel_initializer=start)
    return x * (1 / divisor)


def _whitening_convolution(inputs: Any, name: str) -> Any:
    """2x2 valid convolution with the filters of `whitening_filters` and a trained bias."""
    channels = int(inputs.shape[-1])
    filters = 2 * 2 * 2 * channels
    with tf.variable_scope(name, use_resource=True, reuse=tf.AUTO_REUSE):
        kernel = frozen_variable(
            "kernel", [2, 2, channels, filters], inputs, whitening_filters, WHITENING_IMAGES
        )
        bias = tf.get_variable("bias", [filters], initializer=tf.zeros_initializer())
        return tf.nn.conv2d(inputs, kernel, 1, "VALID") + bias  # [b, h - 1, w - 1, filters]


def whitening_filters(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Filters whose outputs on the images' 2x2 windows are uncorrelated, and their negations.

    Of all windows, as rows, the second moments M = P' P / n = U diag(d) U' are taken (not centred);
    a filter is a column of U / sqrt(d + 5e-4), by falling eigenvalue.

    Args:
        images: float32 [n, height, width, channels].

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
    # An eigenvector's sign is arbitrary, but both are there.
    filters = np.concatenate([vectors, -vectors], axis=1)
    return filters.reshape(2, 2, channels, 2 * size).astype(np.float32)
