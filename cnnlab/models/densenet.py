"""DenseNet-121 (Huang et al. 2016, arXiv 1608.06993), as Keras Applications has it."""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.models.argument_types import DataFormat, Stem

GROWTH = 32
LAYERS = (6, 12, 24, 16)
EPSILON = 1.001e-5  # Keras Applications'


def densenet121(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    stem: Stem = "imagenet",
    data_format: DataFormat = "channels_last",
) -> Any:
    """Four blocks in which each layer sees the outputs of all before it (DenseNet-BC: bottlenecks,
    and half the channels pass from block to block).

    Parameters for 1000 classes, 8,062,504 with the moving averages (trainable 7,978,856). Batch
    norm of c channels has 4c. A layer that sees c channels: 4c + 128c + 4*128 + 9*128*32; a
    transition of c channels: 4c + c*c/2.
        conv1        7*7*3*64 + 4*64 = 9,664
        block1       6 layers from 64 to 256: 132*(64+...+224) + 6*37,376 = 338,304; transition
                     33,792
        block2       12 layers from 128 to 512: 132*(128+...+480) + 12*37,376 = 930,048; transition
                     133,120
        block3       24 layers from 256 to 1024: 132*(256+...+992) + 24*37,376 = 2,873,856;
                     transition 528,384
        block4       16 layers from 512 to 1024: 132*(512+...+992) + 16*37,376 = 2,186,240
        norm         4*1024 = 4,096; logits (1024+1)*1000 = 1,025,000

    Args:
        images: float32 [batch, height, width, channels], 8x8 or more; 29x29 or more with the
            imagenet stem.
        num_classes: number of logits.
        training: whether batch norm goes by the batch.
        stem: imagenet: conv1 is 7x7 with stride 2, a pool after it; cifar: 3x3 with stride 1 and
            no pool.
        data_format: see `layers.arrange`.

    Returns:
        float32 [batch, num_classes], unscaled.
    """
    conv = {"use_bias": False, "kernel_initializer": "he_normal"}

    def norm_relu(x: Any, name: str) -> Any:
        x = layers.batch_normalization(x, training=training, epsilon=EPSILON, name=name)
        return layers.activate(x, "relu", name=f"{name}_relu")

    x = layers.arrange(images, data_format, min_size=29 if stem == "imagenet" else 8)
    # Sizes in brackets are those of 224x224 with the imagenet stem.
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
    x = layers.global_average_pooling2d(x, name="mean")  # [b, 1024]
    return layers.dense(x, num_classes, name="logits")
