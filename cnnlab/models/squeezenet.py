"""SqueezeNet 1.0 (Iandola et al. 2016, arXiv 1602.07360)."""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.models.argument_types import DataFormat, Rate, Stem


def squeezenet(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    stem: Stem = "imagenet",
    dropout: Rate = 0.5,
    data_format: DataFormat = "channels_last",
) -> Any:
    """Build a convolution, eight fire modules, a 1x1 convolution and global average pooling.

    The architecture is that of table 1 of the paper. The 1x1 convolution has a filter for each
    class. As in the paper a relu follows it, so no logit is below 0. Weights start as in He et al.
    2015 (arXiv 1502.01852), which suits relu.

    The network has 1,248,424 parameters for 1000 classes. A fire module from i channels has
    (i+1)*s + (s+1)*e + (9*s+1)*e, with s squeezed channels and e of each expansion.
        conv1     (7*7*3+1)*96       =  14,208
        fire2     (96, 16, 64)       =  11,920; fire3 12,432
        fire4     (128, 32, 128)     =  45,344; fire5 49,440
        fire6     (256, 48, 192)     = 104,880; fire7 111,024
        fire8     (384, 64, 256)     = 188,992; fire9 197,184
        logits    (512+1)*1000       = 513,000

    Args:
        images: float32 [batch, height, width, channels], at least 29x29, or 7x7 with the cifar
            stem.
        num_classes: number of logits.
        training: whether dropout is active.
        stem: imagenet: conv1 is 7x7 with stride 2, and a pooling layer follows it. cifar: conv1 is
            3x3 with stride 1, without a pooling layer.
        dropout: the fraction of elements to drop before the last convolution, in [0, 1).
        data_format: see `layers.arrange`.

    Returns:
        The logits, float32 [batch, num_classes], unscaled, >= 0.
    """
    relu: dict[str, Any] = {
        "activation": "relu",
        "padding": "same",
        "kernel_initializer": "he_normal",
    }

    def fire(x: Any, squeezed: int, expanded: int, name: str) -> Any:
        """Build a fire module (section 3.2).

        A 1x1 convolution squeezes the inputs to few channels. Then 1x1 and 3x3 convolutions side by
        side expand them; each makes `expanded` channels.
        """
        x = layers.conv2d(x, squeezed, 1, name=f"{name}/squeeze", **relu)
        wide = [
            layers.conv2d(x, expanded, side, name=f"{name}/expand{side}x{side}", **relu)
            for side in (1, 3)
        ]
        return layers.concatenate(wide, name=f"{name}/concat")

    x = layers.arrange(images, data_format, min_size=29 if stem == "imagenet" else 7)
    # The shapes below are those of 224x224 images with the imagenet stem. From pool1 on they are
    # the paper's.
    if stem == "imagenet":
        x = layers.conv2d(x, 96, 7, strides=2, name="conv1", **relu)  # [b, 112, 112, 96]
        x = layers.max_pooling2d(x, 3, 2, name="pool1")  # [b, 55, 55, 96]
    else:
        x = layers.conv2d(x, 96, 3, name="conv1", **relu)
    x = fire(x, 16, 64, "fire2")  # [b, 55, 55, 128]
    x = fire(x, 16, 64, "fire3")
    x = fire(x, 32, 128, "fire4")
    x = layers.max_pooling2d(x, 3, 2, name="pool4")  # [b, 27, 27, 256]
    x = fire(x, 32, 128, "fire5")
    x = fire(x, 48, 192, "fire6")
    x = fire(x, 48, 192, "fire7")
    x = fire(x, 64, 256, "fire8")
    x = layers.max_pooling2d(x, 3, 2, name="pool8")  # [b, 13, 13, 512]
    x = fire(x, 64, 256, "fire9")
    x = layers.dropout(x, dropout, training=training, name="dropout9")
    x = layers.conv2d(x, num_classes, 1, name="logits", **relu)  # [b, 13, 13, num_classes]
    return layers.global_average_pooling2d(x, name="mean")
