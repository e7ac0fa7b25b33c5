"""The cuda-convnet style CIFAR-10 network (recipes `cifar_lrn`, `cifar_lrn_long`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnnlab import layers
from cnnlab.base.tf1 import tf


def cifar_lrn(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    lrn: bool = True,
    l2: Annotated[float, Field(ge=0)] = 0.004,
) -> Any:
    """Two 5x5 convolutions with local response normalization, two penalized dense layers.

    Parameters for 24x24x3 and 10 classes: 1,068,298: conv1 5*5*3*64+64 = 4,864; conv2
    5*5*64*64+64 = 102,464; dense1 6*6*64*384+384 = 885,120; dense2 384*192+192 = 73,920; logits
    192*10+10 = 1,930.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: unused.
        lrn: False leaves local response normalization out.
        l2: penalty l2 x sum w^2 / 2 of the two dense kernels: half of what the option l2 means by
            the same number, because the text's program uses `tf.nn.l2_loss`, which halves.

    Returns:
        float32 [batch, num_classes], unscaled.
    """
    del training

    def start(stddev: float, bias: float) -> dict[str, Any]:
        return {
            "kernel_initializer": tf.truncated_normal_initializer(stddev=stddev),
            "bias_initializer": tf.constant_initializer(bias),
        }

    def normalize(x: Any, name: str) -> Any:
        return layers.local_response_normalization(x, name=name) if lrn else x

    relu, penalty = tf.nn.relu, layers.l1_l2(l2=l2 / 2)
    conv = {"padding": "same", "activation": relu}
    dense = {"activation": relu, "kernel_regularizer": penalty, **start(0.04, 0.1)}
    x = images  # [b, 24, 24, 3]
    x = layers.conv2d(x, 64, 5, name="conv1", **conv, **start(0.05, 0.0))
    x = layers.max_pooling2d(x, 3, 2, padding="same", name="pool1")  # [b, 12, 12, 64]
    x = normalize(x, "norm1")
    x = layers.conv2d(x, 64, 5, name="conv2", **conv, **start(0.05, 0.1))
    x = normalize(x, "norm2")
    x = layers.max_pooling2d(x, 3, 2, padding="same", name="pool2")  # [b, 6, 6, 64]
    x = layers.flatten(x, name="flatten")  # [b, 2304]
    x = layers.dense(x, 384, name="dense1", **dense)
    x = layers.dense(x, 192, name="dense2", **dense)
    return layers.dense(x, num_classes, name="logits", **start(1 / 192, 0.0))
