"""Three networks for MNIST: a perceptron and two convolutional networks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnnlab import layers
from cnnlab.base.tf1 import tf

Rate = Annotated[float, Field(ge=0, lt=1)]


def mnist_perceptron(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    init_stddev: Annotated[float, Field(ge=0)] = 1.0,
) -> Any:
    """Build one dense layer (recipes `mnist_perceptron`, `mnist_perceptron_small_init`).

    The network has 784*10 + 10 = 7,850 parameters for 28x28x1 images and 10 classes.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: unused.
        init_stddev: standard deviation (>= 0) of the normal distribution with mean 0 that weights
            and biases start from. With 0 they start from zeros.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    del training
    x = layers.flatten(images, name="flatten")  # [b, 784]
    start = tf.random_normal_initializer(stddev=init_stddev)
    return layers.dense(
        x, num_classes, kernel_initializer=start, bias_initializer=start, name="logits"
    )


def mnist_cnn(images: Any, num_classes: int, *, training: bool, dropout: Rate = 0.5) -> Any:
    """Build two 5x5 convolutions with pooling and a wide dense layer (recipe `mnist_cnn`).

    Kernels start from a truncated normal distribution with standard deviation 0.1, biases from 0.1,
    as in the source program.

    The network has 3,274,634 parameters for 28x28x1 images and 10 classes:
        conv1     5*5*1*32 + 32         =       832
        conv2     5*5*32*64 + 64        =    51,264
        dense1    7*7*64*1024 + 1024    = 3,212,288
        logits    1024*10 + 10          =    10,250

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether dropout is active.
        dropout: the fraction of the wide dense layer's outputs to drop, in [0, 1).

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    start = {
        "kernel_initializer": tf.truncated_normal_initializer(stddev=0.1),
        "bias_initializer": tf.constant_initializer(0.1),
    }
    x = images  # [b, 28, 28, 1]
    x = layers.conv2d(x, 32, 5, padding="same", activation=tf.nn.relu, name="conv1", **start)
    x = layers.max_pooling2d(x, 2, 2, name="pool1")  # [b, 14, 14, 32]
    x = layers.conv2d(x, 64, 5, padding="same", activation=tf.nn.relu, name="conv2", **start)
    x = layers.max_pooling2d(x, 2, 2, name="pool2")  # [b, 7, 7, 64]
    x = layers.flatten(x, name="flatten")  # [b, 3136]
    x = layers.dense(x, 1024, activation=tf.nn.relu, name="dense1", **start)
    x = layers.dropout(x, dropout, training=training, name="dropout1")
    return layers.dense(x, num_classes, name="logits", **start)


def mnist_convnet(images: Any, num_classes: int, *, training: bool, dropout: Rate = 0.4) -> Any:
    """Build two 3x3 convolutions with pooling and a wide dense layer (recipe `mnist_convnet`).

    The convolutions are unpadded.

    Departure: the source program applies a relu to the logits. It is left out here, because with
    it a class may never be predicted again.

    The network has 3,362,570 parameters for 28x28x1 images and 10 classes:
        conv1     3*3*1*64 + 64          =       640
        conv2     3*3*64*128 + 128       =    73,856
        dense1    5*5*128*1024 + 1024    = 3,277,824
        logits    1024*10 + 10           =    10,250

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether dropout is active.
        dropout: the fraction of the wide dense layer's outputs to drop, in [0, 1).

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    x = images  # [b, 28, 28, 1]
    x = layers.conv2d(x, 64, 3, activation=tf.nn.relu, name="conv1")  # [b, 26, 26, 64]
    x = layers.max_pooling2d(x, 2, 2, name="pool1")  # [b, 13, 13, 64]
    x = layers.conv2d(x, 128, 3, activation=tf.nn.relu, name="conv2")  # [b, 11, 11, 128]
    x = layers.max_pooling2d(x, 2, 2, name="pool2")  # [b, 5, 5, 128]
    x = layers.flatten(x, name="flatten")  # [b, 3200]
    x = layers.dense(x, 1024, activation=tf.nn.relu, name="dense1")
    x = layers.dropout(x, dropout, training=training, name="dropout1")
    return layers.dense(x, num_classes, name="logits")
