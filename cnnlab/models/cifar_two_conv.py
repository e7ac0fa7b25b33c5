"""A CIFAR-10 network with two convolutions (recipe `cifar_two_conv`)."""

from __future__ import annotations

from typing import Any, Literal

from cnnlab import layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf


def cifar_two_conv(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    data_format: Literal["channels_last", "channels_first"] = "channels_last",
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
        data_format: the layout of the tensors between the convolutions. channels_first is for GPUs.
            The weights have the same shapes in both, so a checkpoint serves both.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.

    Raises:
        CnnlabError: data_format is channels_first and there is no GPU.
    """
    del training
    is_first = data_format == "channels_first"
    if is_first and "gpu" not in images.device.lower():
        # TensorFlow has no pooling of channels_first for CPUs, but reports it in the first step.
        raise CnnlabError(
            "data_format=channels_first needs a GPU; on the CPU use data_format=channels_last"
        )
    conv = {"padding": "same", "activation": tf.nn.relu, "data_format": data_format}
    x = tf.transpose(images, [0, 3, 1, 2]) if is_first else images  # [b, 32, 32, 3]
    x = layers.conv2d(x, 50, 3, name="conv1", **conv)
    x = layers.conv2d(x, 50, 3, name="conv2", **conv)
    x = layers.max_pooling2d(x, 2, 2, data_format=data_format, name="pool")  # [b, 16, 16, 50]
    x = tf.transpose(x, [0, 2, 3, 1]) if is_first else x
    x = layers.flatten(x, name="flatten")  # [b, 12800]
    x = layers.dense(x, 512, activation=tf.nn.relu, name="dense1")
    return layers.dense(x, num_classes, name="logits")
