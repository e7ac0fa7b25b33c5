"""A CIFAR-10 network with two convolutions (recipe `cifar_two_conv`)."""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.models.argument_types import DataFormat


def cifar_two_conv(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    data_format: DataFormat = "channels_last",
) -> Any:
    """Build two 3x3 convolutions, one pooling layer and two dense layers.

    The network has 6,583,192 parameters for 32x32x3 images and 10 classes:
        conv1     3*3*3*50 + 50         =     1,400
        conv2     3*3*50*50 + 50        =    22,550
        dense1    16*16*50*512 + 512    = 6,554,112
        logits    512*10 + 10           =     5,130

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: unused.
        data_format: see `layers.arrange`.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    del training
    x = layers.arrange(images, data_format)  # [b, 32, 32, 3]
    conv = {"padding": "same", "activation": tf.nn.relu}
    x = layers.conv2d(x, 50, 3, name="conv1", **conv)
    x = layers.conv2d(x, 50, 3, name="conv2", **conv)
    x = layers.max_pooling2d(x, 2, 2, name="pool")  # [b, 16, 16, 50]
    x = layers.flatten(x, name="flatten")  # [b, 12800]
    x = layers.dense(x, 512, activation=tf.nn.relu, name="dense1")
    return layers.dense(x, num_classes, name="logits")
