"""Two 3x3 convolutions, one pooling, a wide dense layer (recipes `mnist_simple`,
`fashion_simple`)."""

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
    """The models `mnist_simple` and, on larger images with 2 classes, `cats_dogs`.

    Parameters for 28x28x1 and 10 classes: 18,960,138: conv1 3*3*1*64+64 = 640; conv2 3*3*64*128+128
    = 73,856; dense1 12*12*128*1024+1024 = 18,875,392; logits 1024*10+10 = 10,250.
    For 150x150x3 and 2 classes: 698,561,410, all but 77,698 of them in dense1 (73*73*128 inputs):
    2.8 GB, and three times that again for gradient and Adam. A pool_size of 8 leaves 42,548,098.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether dropout is active.
        pool_size: side and stride of the pooling window.
        dropout: share dropped before and after the wide dense layer, in [0, 1).

    Returns:
        float32 [batch, num_classes], unscaled.
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
