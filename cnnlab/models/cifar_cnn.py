"""The CIFAR-10 network of the recipe `cifar_cnn`, and an example of how a model is written.

A model is a plain function from images to logits. It adds its layers to the current graph, one
after the other. The comments at the ends of lines give the shapes of the layers' outputs.

The function is called once for the training network and once for the inference graph. A layer finds
its variables by its name, so both share the same weights.

The keyword arguments after `training` are the model's options, which `--model_options` sets. Their
annotations give their types and ranges.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cnnlab import layers
from cnnlab.base.tf1 import tf


def cifar_cnn(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    batch_norm: Literal["none", "before", "after"] = "none",
    conv_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
) -> Any:
    """Build three 5x5 convolutions with pooling and three dense layers.

    Source: the CIFAR-10 program with a `Train` class that this package began with.

    The network has 233,130 parameters for 32x32x3 images and 10 classes:
        conv1     5*5*3*64 + 64    =   4,864
        conv2     5*5*64*64 + 64   = 102,464
        conv3     5*5*64*32 + 32   =  51,232
        dense1    512*128 + 128    =  65,664
        dense2    128*64 + 64      =   8,256
        logits    64*10 + 10       =     650
    Batch norm adds 2 * (64+64+32+128+64) = 704.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether dropout is active and batch norm uses the batch's statistics.
        batch_norm: none, or batch norm of each hidden layer before or after its activation. The
            momentum is 0.9 and epsilon is 0.001.
        conv_dropout: the fraction of elements to drop after each convolution's activation, in
            [0, 1).
        dropout: the fraction of elements to drop after each hidden dense layer's activation, in
            [0, 1).

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """

    def finish(x: Any, name: str, rate: float) -> Any:
        """Add what follows a hidden layer: batch norm, its activation, dropout."""
        if batch_norm == "before":
            x = layers.batch_normalization(x, training=training, momentum=0.9, name=f"{name}_norm")
            x = layers.activate(x, "relu", name=f"{name}_relu")
        elif batch_norm == "after":
            x = layers.batch_normalization(x, training=training, momentum=0.9, name=f"{name}_norm")
        return layers.dropout(x, rate, training=training, name=f"{name}_dropout") if rate else x

    # If batch norm comes first, `finish` applies the activation.
    activation = None if batch_norm == "before" else tf.nn.relu
    x = images  # [b, 32, 32, 3]
    x = layers.conv2d(x, 64, 5, padding="same", activation=activation, name="conv1")
    x = finish(x, "conv1", conv_dropout)
    x = layers.max_pooling2d(x, 2, 2, name="pool1")  # [b, 16, 16, 64]
    x = layers.conv2d(x, 64, 5, padding="same", activation=activation, name="conv2")
    x = finish(x, "conv2", conv_dropout)
    x = layers.max_pooling2d(x, 2, 2, name="pool2")  # [b, 8, 8, 64]
    x = layers.conv2d(x, 32, 5, padding="same", activation=activation, name="conv3")
    x = finish(x, "conv3", conv_dropout)
    x = layers.max_pooling2d(x, 2, 2, name="pool3")  # [b, 4, 4, 32]
    x = layers.flatten(x, name="flatten")  # [b, 512]
    x = finish(layers.dense(x, 128, activation=activation, name="dense1"), "dense1", dropout)
    x = finish(layers.dense(x, 64, activation=activation, name="dense2"), "dense2", dropout)
    return layers.dense(x, num_classes, name="logits")
