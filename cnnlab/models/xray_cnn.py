"""A network for chest X-rays: large images and convolutions with stride 2."""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.base.tf1 import tf


def xray_cnn(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build three 3x3 convolutions of stride 2 with pooling between them, and two dense layers.

    The convolutions are unpadded.

    The network has 15,838,658 parameters for 1024x1024x3 images and 2 classes:
        conv1     3*3*3*32 + 32          =        896
        conv2     3*3*32*64 + 64         =     18,496
        conv3     3*3*64*128 + 128       =     73,856
        dense1    31*31*128*128 + 128    = 15,745,152
        logits    128*2 + 2              =        258

    Args:
        images: float32 [batch, height, width, channels], at least 35 pixels high and wide.
        num_classes: number of logits.
        training: unused.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    del training
    conv = {"strides": 2, "activation": tf.nn.relu}
    x = images  # [b, 1024, 1024, 3]
    x = layers.conv2d(x, 32, 3, name="conv1", **conv)  # [b, 511, 511, 32]
    x = layers.max_pooling2d(x, 2, 2, name="pool1")  # [b, 255, 255, 32]
    x = layers.conv2d(x, 64, 3, name="conv2", **conv)  # [b, 127, 127, 64]
    x = layers.max_pooling2d(x, 2, 2, name="pool2")  # [b, 63, 63, 64]
    x = layers.conv2d(x, 128, 3, name="conv3", **conv)  # [b, 31, 31, 128]
    x = layers.flatten(x, name="flatten")  # [b, 123008]
    x = layers.dense(x, 128, activation=tf.nn.relu, name="dense1")
    return layers.dense(x, num_classes, name="logits")
