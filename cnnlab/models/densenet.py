"""DenseNet-121 (Huang et al. 2016, arXiv 1608.06993, table 1), as in Keras Applications."""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.models.argument_types import DataFormat, Rate, Stem
from cnnlab.models.head import HiddenUnits, Pooling, add_head

GROWTH = 32  # channels that each layer adds
LAYERS = (6, 12, 24, 16)  # in each block
EPSILON = 1.001e-5  # as in Keras Applications


def densenet121(
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
    """Build a convolution, four dense blocks, global average pooling and a dense layer.

    In a dense block each layer reads the outputs of all layers before it. This is the form
    DenseNet-BC: layers have bottlenecks, and a transition between two blocks halves the channels.

    The network has 8,062,504 parameters for 1000 classes, moving averages included, of which
    7,978,856 are trainable. Batch norm of c channels has 4c. A layer that reads c channels has
    4c + 128c + 4*128 + 9*128*32. A transition from c channels has 4c + c*c/2.
        conv1          7*7*3*64 + 4*64                        =     9,664
        block1         132*(64+...+224) + 6*37,376            =   338,304
        transition1    from 256 channels                      =    33,792
        block2         132*(128+...+480) + 12*37,376          =   930,048
        transition2    from 512 channels                      =   133,120
        block3         132*(256+...+992) + 24*37,376          = 2,873,856
        transition3    from 1024 channels                     =   528,384
        block4         132*(512+...+992) + 16*37,376          = 2,186,240
        norm           4*1024                                 =     4,096
        logits         (1024+1)*1000                          = 1,025,000

    Args:
        images: float32 [batch, height, width, channels], at least 29x29, or 8x8 with the cifar
            stem.
        num_classes: number of logits.
        training: whether batch norm uses the batch's statistics.
        stem: imagenet: conv1 is 7x7 with stride 2, and a pooling layer follows it. cifar: conv1 is
            3x3 with stride 1, without a pooling layer.
        pooling, dense_units, dropout: the head; see `cnnlab.models.head.add_head`.
        data_format: see `layers.arrange`.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    conv: dict[str, Any] = {"use_bias": False, "kernel_initializer": "he_normal"}

    def norm_relu(x: Any, name: str) -> Any:
        """Add batch norm and a relu."""
        x = layers.batch_normalization(
            x, training=training, momentum=0.9, epsilon=EPSILON, name=name
        )
        return layers.activate(x, "relu", name=f"{name}_relu")

    x = layers.arrange(images, data_format, min_size=29 if stem == "imagenet" else 8)
    # The shapes below are those of 224x224 images with the imagenet stem.
    if stem == "imagenet":
        x = layers.zero_padding2d(x, 3, name="conv1_pad")
        x = layers.conv2d(x, 64, 7, strides=2, name="conv1", **conv)  # [b, 112, 112, 64]
        x = norm_relu(x, "conv1_norm")
        x = layers.zero_padding2d(x, 1, name="pool1_pad")
        x = layers.max_pooling2d(x, 3, 2, name="pool1")  # [b, 56, 56, 64]
    else:
        x = layers.conv2d(x, 64, 3, padding="same", name="conv1", **conv)
        x = norm_relu(x, "conv1_norm")
    channels = 64
    for block, count in enumerate(LAYERS, 1):
        for number in range(1, count + 1):
            scope = f"block{block}/layer{number}"
            new = norm_relu(x, f"{scope}/norm1")
            new = layers.conv2d(new, 4 * GROWTH, 1, name=f"{scope}/conv1", **conv)
            new = norm_relu(new, f"{scope}/norm2")
            new = layers.conv2d(new, GROWTH, 3, padding="same", name=f"{scope}/conv2", **conv)
            x = layers.concatenate([x, new], name=f"{scope}/concat")
        channels += count * GROWTH
        if block < len(LAYERS):
            channels //= 2
            x = norm_relu(x, f"transition{block}/norm")
            x = layers.conv2d(x, channels, 1, name=f"transition{block}/conv", **conv)
            x = layers.average_pooling2d(x, 2, 2, name=f"transition{block}/pool")
            # [b, 28, 28, 128], then [b, 14, 14, 256], then [b, 7, 7, 512]
    x = norm_relu(x, "norm")  # [b, 7, 7, 1024]
    return add_head(
        x,
        num_classes,
        training=training,
        pooling=pooling,
        dense_units=dense_units,
        dropout=dropout,
    )
