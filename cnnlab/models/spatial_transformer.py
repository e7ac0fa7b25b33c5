"""A spatial transformer in front of a small network (recipes `stn`, `stn_without`).

Jaderberg et al. 2015, "Spatial Transformer Networks", arXiv 1506.02025.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnlab import layers
from cnnlab.base.tf1 import tf

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def stn(images: Any, num_classes: int, *, training: bool, transformer: bool = True) -> Any:
    """Build a localization network, the transformation that it predicts, and a classifier.

    The localization network predicts an affine transformation for each image, such as a rotation or
    a change of scale. A network with two convolutions classifies the transformed image.

    The network has 239,320 parameters for 28x28x1 images and 10 classes:
        locate_conv1    5*5*1*20 + 20       =     520
        locate_conv2    5*5*20*20 + 20      =  10,020
        locate_dense    3*3*20*20 + 20      =   3,620
        theta           20*6 + 6            =     126
        conv1           3*3*1*32 + 32       =     320
        conv2           3*3*32*64 + 64      =  18,496
        dense1          5*5*64*128 + 128    = 204,928
        logits          128*10 + 10         =   1,290
    Without the transformer it has the last four layers, 225,034 parameters.

    Args:
        images: float32 [batch, height, width, channels]; 0 is the background.
        num_classes: number of logits.
        training: unused.
        transformer: whether to transform the images; else the classifier gets them unchanged.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    del training
    relu = {"activation": tf.nn.relu}
    x = _transformed(images, relu) if transformer else images  # [b, 28, 28, 1]
    x = layers.conv2d(x, 32, 3, name="conv1", **relu)  # [b, 26, 26, 32]
    x = layers.max_pooling2d(x, 2, 2, name="pool1")  # [b, 13, 13, 32]
    x = layers.conv2d(x, 64, 3, name="conv2", **relu)  # [b, 11, 11, 64]
    x = layers.max_pooling2d(x, 2, 2, name="pool2")  # [b, 5, 5, 64]
    x = layers.dense(layers.flatten(x, name="flatten"), 128, name="dense1", **relu)
    return layers.dense(x, num_classes, name="logits")


def _transformed(images: Any, relu: dict[str, Any]) -> Any:
    """Build the localization network, and apply the transformation that it predicts."""
    x = layers.max_pooling2d(images, 2, 2, name="locate_pool1")  # [b, 14, 14, 1]
    x = layers.conv2d(x, 20, 5, padding="same", name="locate_conv1", **relu)
    x = layers.max_pooling2d(x, 2, 2, name="locate_pool2")  # [b, 7, 7, 20]
    x = layers.conv2d(x, 20, 5, name="locate_conv2", **relu)  # [b, 3, 3, 20]
    x = layers.dense(layers.flatten(x, name="locate_flatten"), 20, name="locate_dense", **relu)
    # Section 3.1 of the paper does not say how theta starts. Here it starts from the identity, so
    # at first the images pass unchanged.
    matrices = layers.dense(
        x,
        6,
        kernel_initializer=tf.zeros_initializer(),
        bias_initializer=tf.constant_initializer(IDENTITY),
        name="theta",
    )
    return transform(images, tf.reshape(matrices, [-1, 2, 3]))


def transform(images: Any, matrices: Any) -> Any:
    """Resample each image through an affine transformation (sections 3.2 and 3.3 of the paper).

    output(x, y) = image(matrix @ (x, y, 1))

    The coordinates are -1 and 1 at the centres of the outermost pixels. Between pixels the value is
    interpolated bilinearly. Outside the image it is 0.

    Args:
        images: float32 [batch, height, width, channels].
        matrices: float32 [batch, 2, 3]. Gradients pass to the images and to the matrices.

    Returns:
        float32 [batch, height, width, channels].
    """
    height, width = images.shape[1:3].as_list()
    columns, rows = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    grid = np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1).astype(np.float32)
    sources = tf.einsum("bij,jp->bip", matrices, tf.constant(grid))  # [b, 2, h * w]
    x = (sources[:, 0] + 1) * ((width - 1) / 2)
    y = (sources[:, 1] + 1) * ((height - 1) / 2)
    return tf.reshape(_sample(images, x, y), tf.shape(images))


def _sample(images: Any, x: Any, y: Any) -> Any:
    """Interpolate the images at points.

    Args:
        images: float32 [batch, height, width, channels].
        x, y: float32 [batch, points], the column and the row in pixels.

    Returns:
        float32 [batch, points, channels].
    """
    height, width, channels = images.shape[1:].as_list()
    pixels = tf.reshape(images, [-1, height * width, channels])
    left, top = tf.floor(x), tf.floor(y)
    values = []
    for column, column_share in ((left, 1 - (x - left)), (left + 1, x - left)):
        for row, row_share in ((top, 1 - (y - top)), (top + 1, y - top)):
            inside_x = tf.clip_by_value(column, 0, width - 1)
            inside_y = tf.clip_by_value(row, 0, height - 1)
            is_inside = tf.logical_and(tf.equal(inside_x, column), tf.equal(inside_y, row))
            share = column_share * row_share * tf.cast(is_inside, tf.float32)
            place = tf.cast(inside_y * width + inside_x, tf.int32)
            values.append(tf.gather(pixels, place, batch_dims=1) * share[:, :, None])
    return tf.add_n(values)
