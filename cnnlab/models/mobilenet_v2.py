"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381, table 2), as in Keras Applications."""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.models.argument_types import DataFormat, Rate, Stem
from cnnlab.models.head import HiddenUnits, Pooling, add_head

# Of each stage: expansion factor, output channels, number of blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
NORM: dict[str, Any] = {"momentum": 0.999, "epsilon": 1e-3}  # as in Keras Applications


def mobilenet_v2(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    stem: Stem = "imagenet",
    pooling: Pooling = "average",
    dense_units: HiddenUnits = (),
    dropout: Rate = 0.0,
    data_format: DataFormat = "channels_last",
) -> Any:
    """Build a convolution, 17 inverted residual blocks, a 1x1 convolution and a dense layer.

    A block widens its input by a 1x1 convolution, convolves each channel with a 3x3 window, and
    narrows the result by a 1x1 convolution without an activation. If input and output have the same
    shape, the input is added. The activation is min(max(x, 0), 6).

    The network has 3,538,984 parameters for 1000 classes, moving averages included, of which
    3,504,872 are trainable. Batch norm of c channels has 4c. A block from i to o channels with
    expansion factor 6 has 6i*i + 9*6i + 6i*o + 4*(6i + 6i + o).
        conv1          9*3*32 + 4*32                          =       992
        block0         9*32 + 32*16 + 4*(32 + 16)             =       992
        block1 to 16   of the formula                         = 1,840,000
        head           320*1280 + 4*1280                      =   414,720
        logits         (1280+1)*1000                          = 1,281,000

    Keras pads each image by hand before a stride of 2. The padding "same" gives the same rows and
    columns of zeros, for even and odd sizes.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether batch norm uses the batch's statistics.
        stem: imagenet: conv1 has stride 2. cifar: it has stride 1.
        pooling, dense_units, dropout: the head; see `cnnlab.models.head.add_head`.
        data_format: see `layers.arrange`.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """

    def normalized(x: Any, name: str, *, is_linear: bool = False) -> Any:
        """Add batch norm and, unless the layer is linear, the activation."""
        x = layers.batch_normalization(x, training=training, name=f"{name}_norm", **NORM)
        return x if is_linear else layers.activate(x, tf.nn.relu6, name=f"{name}_relu")

    def conv(x: Any, filters: int, side: int, strides: int, name: str) -> Any:
        """Add a convolution without a bias."""
        return layers.conv2d(
            x, filters, side, strides=strides, padding="same", use_bias=False, name=name
        )

    x = layers.arrange(images, data_format)
    # The shapes below are those of 224x224 images with the imagenet stem.
    x = normalized(conv(x, 32, 3, 2 if stem == "imagenet" else 1, "conv1"), "conv1")
    channels, number = 32, 0  # [b, 112, 112, 32]
    for expansion, filters, count, first_strides in STAGES:
        for place in range(count):
            strides, scope, shortcut = (1 if place else first_strides), f"block{number}", x
            if expansion > 1:
                x = conv(x, expansion * channels, 1, 1, f"{scope}/expand")
                x = normalized(x, f"{scope}/expand")
            x = layers.depthwise_conv2d(
                x, 3, strides, padding="same", use_bias=False, name=f"{scope}/depthwise"
            )
            x = normalized(x, f"{scope}/depthwise")
            x = conv(x, filters, 1, 1, f"{scope}/project")
            x = normalized(x, f"{scope}/project", is_linear=True)
            if strides == 1 and channels == filters:
                x += shortcut
            channels, number = filters, number + 1
    x = normalized(conv(x, 1280, 1, 1, "head"), "head")  # [b, 7, 7, 1280]
    return add_head(
        x,
        num_classes,
        training=training,
        pooling=pooling,
        dense_units=dense_units,
        dropout=dropout,
    )
