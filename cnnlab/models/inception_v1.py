"""The first Inception network, GoogLeNet (Szegedy et al. 2014, arXiv 1409.4842)."""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.models.argument_types import DataFormat, Rate, Stem
from cnnlab.models.head import HiddenUnits, Pooling, add_head

# Table 1 of the paper. The filters of each module: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, and the
# convolution after the pooling layer.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def inception_v1(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    stem: Stem = "imagenet",
    pooling: Pooling = "average",
    dense_units: HiddenUnits = (),
    dropout: Rate = 0.4,
    data_format: DataFormat = "channels_last",
) -> Any:
    """Build three convolutions, nine Inception modules, global average pooling and a dense layer.

    The architecture is that of section 5 of the paper. Its two auxiliary classifiers, which serve
    training only, are left out. The paper gives no constants for local response normalization, so
    AlexNet's are used. Weights start as in He et al. 2015 (arXiv 1502.01852), which suits relu.

    The network has 6,998,552 parameters for 1000 classes. A module from i channels, with a row
    (a, b, c, d, e, f) of MODULES, has (i+1)*(a+b+d+f) + (9*b+1)*c + (25*d+1)*e.
        conv1           (7*7*3+1)*64   =     9,472
        conv2_reduce    (64+1)*64      =     4,160
        conv2           (9*64+1)*192   =   110,784
        modules         163,696; 388,736; 376,176; 449,160; 510,104; 605,376; 868,352; 1,043,456;
                        1,444,080
        logits          (1024+1)*1000  = 1,025,000

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether dropout is active.
        stem: imagenet: conv1 is 7x7 with stride 2, and a pooling layer follows it. cifar: conv1 is
            3x3 with stride 1, and the first pooling layer follows conv2.
        pooling, dense_units, dropout: the head; see `cnnlab.models.head.add_head`.
        data_format: see `layers.arrange`.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    relu: dict[str, Any] = {
        "activation": "relu",
        "padding": "same",
        "kernel_initializer": "he_normal",
    }
    response: dict[str, Any] = {"depth_radius": 2, "bias": 2.0, "alpha": 1e-4, "beta": 0.75}

    def module(x: Any, name: str) -> Any:
        """Build convolutions of three sizes and a pooling layer side by side (figure 2b)."""
        one, three_reduce, three, five_reduce, five, pooled = MODULES[name]
        scope = f"inception{name}"
        reduced3 = layers.conv2d(x, three_reduce, 1, name=f"{scope}/branch3x3_reduce", **relu)
        reduced5 = layers.conv2d(x, five_reduce, 1, name=f"{scope}/branch5x5_reduce", **relu)
        pool = layers.max_pooling2d(x, 3, 1, padding="same", name=f"{scope}/pool")
        branches = [
            layers.conv2d(x, one, 1, name=f"{scope}/branch1x1", **relu),
            layers.conv2d(reduced3, three, 3, name=f"{scope}/branch3x3", **relu),
            layers.conv2d(reduced5, five, 5, name=f"{scope}/branch5x5", **relu),
            layers.conv2d(pool, pooled, 1, name=f"{scope}/branch_pool", **relu),
        ]
        return layers.concatenate(branches, name=f"{scope}/concat")

    x = layers.arrange(images, data_format)
    # The shapes below are those of 224x224 images with the imagenet stem.
    if stem == "imagenet":
        x = layers.conv2d(x, 64, 7, strides=2, name="conv1", **relu)  # [b, 112, 112, 64]
        x = layers.max_pooling2d(x, 3, 2, padding="same", name="pool1")  # [b, 56, 56, 64]
    else:
        x = layers.conv2d(x, 64, 3, name="conv1", **relu)
    x = layers.local_response_normalization(x, name="conv1_norm", **response)
    x = layers.conv2d(x, 64, 1, name="conv2_reduce", **relu)
    x = layers.conv2d(x, 192, 3, name="conv2", **relu)
    x = layers.local_response_normalization(x, name="conv2_norm", **response)
    for name in MODULES:
        if name in ("3a", "4a", "5a"):  # [b, 28, 28, 192], [b, 14, 14, 480], [b, 7, 7, 832]
            x = layers.max_pooling2d(x, 3, 2, padding="same", name=f"pool{int(name[0]) - 1}")
        x = module(x, name)
    return add_head(
        x,
        num_classes,
        training=training,
        pooling=pooling,
        dense_units=dense_units,
        dropout=dropout,
    )
