"""The multi-layer perceptron for MNIST (recipes `mnist_mlp`, `mnist_mlp_100`, `tune_mnist`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from cnnlab import layers
from cnnlab.base.tf1 import tf

Rate = Annotated[float, Field(ge=0, lt=1)]
Units = Annotated[int, Field(ge=1)]


def mnist_mlp(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    dense_units: Units | Annotated[Sequence[Units], Field(min_length=1)] = (128, 60),
    dropout: Rate = 0.0,
) -> Any:
    """Build hidden dense layers with relu, and dropout after the first of them.

    The network has 108,830 parameters for 28x28x1 images and 10 classes:
        dense1    784*128 + 128   = 100,480
        dense2    128*60 + 60     =   7,740
        logits    60*10 + 10      =     610
    With dense_units=32 it has 784*32 + 32 = 25,120 and 32*10 + 10 = 330, together 25,450.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether dropout is active.
        dense_units: the number of outputs (>= 1) of each hidden layer, in order. A single number
            gives one hidden layer.
        dropout: the fraction of the first hidden layer's outputs to drop, in [0, 1).

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    units = [dense_units] if isinstance(dense_units, int) else dense_units
    x = layers.flatten(images, name="flatten")  # [b, 784]
    for number, size in enumerate(units, 1):
        x = layers.dense(x, size, activation=tf.nn.relu, name=f"dense{number}")
        if number == 1:
            x = layers.dropout(x, dropout, training=training, name="dropout1")
    return layers.dense(x, num_classes, name="logits")
