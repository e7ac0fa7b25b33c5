"""The three-convolution CIFAR-10 network of the reference program (recipe `cifar_cnn`)."""

from __future__ import annotations

from typing import Any

from cnnlab.models import layers
from cnnlab.tf1 import tf


def cifar_cnn(images: Any, num_classes: int, *, training: bool) -> Any:
    """Three 5x5 convolutions with pooling, two dense layers.

    Parameters for 32x32x3 and 10 classes: 233,130 in all:
    conv1 5*5*3*64+64 = 4,864; conv2 5*5*64*64+64 = 102,464; conv3 5*5*64*32+32 = 51,232;
    dense1 512*128+128 = 65,664; dense2 128*64+64 = 8,256; logits 64*10+10 = 650.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: unused; the network has no dropout and no batch norm.

    Returns:
        float32 [batch, num_classes], unscaled.
    """
    del training
    x = images  # [b, 32, 32, 3]
    x = layers.conv2d(x, 64, 5, padding="same", activation=tf.nn.relu, name="conv1")
    x = layers.max_pooling2d(x, 2, 2, name="pool1")  # [b, 16, 16, 64]
    x = layers.conv2d(x, 64, 5, padding="same", activation=tf.nn.relu, name="conv2")
    x = layers.max_pooling2d(x, 2, 2, name="pool2")  # [b, 8, 8, 64]
    x = layers.conv2d(x, 32, 5, padding="same", activation=tf.nn.relu, name="conv3")
    x = layers.max_pooling2d(x, 2, 2, name="pool3")  # [b, 4, 4, 32]
    x = layers.flatten(x, name="flatten")  # [b, 512]
    x = layers.dense(x, 128, activation=tf.nn.relu, name="dense1")
    x = layers.dense(x, 64, activation=tf.nn.relu, name="dense2")
    return layers.dense(x, num_classes, name="logits")
