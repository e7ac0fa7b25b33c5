"""A CIFAR-10 network in the style of cuda-convnet, with local response normalization.

Recipes: `cifar_lrn`, `cifar_lrn_cosine`, `cifar_lrn_long`.
"""

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
    """Build two 5x5 convolutions with local response normalization and three dense layers.

    An L2 penalty applies to the kernels of the two hidden dense layers.

    The network has 1,068,298 parameters for 24x24x3 images and 10 classes:
        conv1     5*5*3*64 + 64       =   4,864
        conv2     5*5*64*64 + 64      = 102,464
        dense1    6*6*64*384 + 384    = 885,120
        dense2    384*192 + 192       =  73,920
        logits    192*10 + 10         =   1,930

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: unused.
        lrn: whether to use local response normalization.
        l2: coefficient (>= 0) of the penalty l2 * sum(w^2) / 2 on each of the two hidden dense
            kernels. The source program uses `tf.nn.l2_loss`, which halves the sum. The option
            `--l2` does not, so here the same number gives half the penalty.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    del training

    def start(stddev: float, bias: float) -> dict[str, Any]:
        """Return a layer's initializers as arguments: truncated normal, and a constant bias."""
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
