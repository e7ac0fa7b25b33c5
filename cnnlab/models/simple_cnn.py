"""A network of two convolutions and a wide dense layer.

Recipes: `mnist_simple`, `fashion_simple`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnnlab import layers
from cnnlab.base.tf1 import tf


def simple_cnn(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    pool_size: Annotated[int, Field(ge=1)] = 2,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
) -> Any:
    """Build two 3x3 convolutions, one pooling layer and a dense layer of 1024 units.

    This is the model `mnist_simple`. Under the name `cats_dogs` it is meant for larger images of 2
    classes.

    The network has 18,960,138 parameters for 28x28x1 images and 10 classes:
        conv1     3*3*1*64 + 64           =        640
        conv2     3*3*64*128 + 128        =     73,856
        dense1    12*12*128*1024 + 1024   = 18,875,392
        logits    1024*10 + 10            =     10,250
    It has 698,561,410 parameters for 150x150x3 images and 2 classes. All but 77,698 of them are in
    dense1, which has 73*73*128 inputs. The weights take 2.8 GB. The gradient and Adam's two moving
    averages take three times as much in addition. With pool_size=8 there are 42,546,050 parameters.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether dropout is active.
        pool_size: side and stride (>= 1) of the pooling window, in pixels.
        dropout: the fraction of elements to drop before and after the wide dense layer, in [0, 1).

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    x = images  # [b, 28, 28, 1]
    x = layers.conv2d(x, 64, 3, activation=tf.nn.relu, name="conv1")  # [b, 26, 26, 64]
    x = layers.conv2d(x, 128, 3, activation=tf.nn.relu, name="conv2")  # [b, 24, 24, 128]
    x = layers.max_pooling2d(x, pool_size, pool_size, name="pool")  # [b, 12, 12, 128]
    x = layers.dropout(x, dropout, training=training, name="dropout1")
    x = layers.flatten(x, name="flatten")  # [b, 18432]
    x = layers.dense(x, 1024, activation=tf.nn.relu, name="dense1")
    x = layers.dropout(x, dropout, training=training, name="dropout2")
    return layers.dense(x, num_classes, name="logits")
