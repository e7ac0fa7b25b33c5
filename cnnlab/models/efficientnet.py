"""EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946, table 1), as in Keras Applications.

Keras's network begins with layers that prepare the pixels: a factor 1/255, a normalization by
ImageNet's channels, and a factor that corrects it. Here `--scaling=torch` does all of this.
"""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.data_format import channel_axis, place_axes
from cnnlab.models.argument_types import DataFormat, Rate, Stem
from cnnlab.models.head import HiddenUnits, Pooling, add_head

# Of each stage: side of the window, expansion factor, output channels, number of blocks, stride of
# the first block.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)


def efficientnet_b0(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    pooling: Pooling = "average",
    dense_units: HiddenUnits = (),
    dropout: Rate = 0.2,
    drop_connect: Rate = 0.2,
    stem: Stem = "imagenet",
    data_format: DataFormat = "channels_last",
) -> Any:
    """Build a convolution, 16 inverted residual blocks, a 1x1 convolution and a dense layer.

    A block is that of `mobilenet_v2` with swish activations. Between its depthwise and its last
    convolution, squeeze and excitation multiply each channel by a factor in (0, 1), which two dense
    layers compute from the channels' means (Hu et al. 2017, arXiv 1709.01507, section 3).

    The network has 5,330,564 parameters for 1000 classes, moving averages included, of which
    5,288,548 are trainable. Keras counts 7 more, the statistics of its layer for pixels.

    Keras pads each image by hand before a stride of 2. The padding "same" gives the same rows and
    columns of zeros, for even and odd sizes.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of logits.
        training: whether batch norm uses the batch's statistics, and layers drop.
        pooling, dense_units, dropout: the head; see `cnnlab.models.head.add_head`.
        drop_connect: probability to drop the last block for an image, so that only its shortcut
            remains. It grows in equal steps from 0 at the first block (Huang et al. 2016, arXiv
            1603.09382).
        stem: imagenet: the first convolution has stride 2. cifar: it has stride 1.
        data_format: see `layers.arrange`.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    start = tf.variance_scaling_initializer(scale=2.0, mode="fan_out")

    def conv(x: Any, filters: int, name: str, side: int = 1, strides: int = 1) -> Any:
        """Add a convolution and batch norm."""
        x = layers.conv2d(
            x,
            filters,
            side,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer=start,
            name=name,
        )
        return layers.batch_normalization(x, training=training, name=f"{name}_norm")

    def swish(x: Any, name: str) -> Any:
        return layers.activate(x, "swish", name=f"{name}_swish")

    def excited(x: Any, filters: int, scope: str) -> Any:
        """Multiply each channel by its factor."""
        means = tf.reduce_mean(x, place_axes(x), keepdims=True)
        kernel: dict[str, Any] = {"kernel_initializer": start}
        few = layers.conv2d(
            means, filters, 1, activation="swish", name=f"{scope}/squeeze", **kernel
        )
        channels = int(x.shape[channel_axis(x)])
        factors = layers.conv2d(few, channels, 1, name=f"{scope}/excite", **kernel)
        return x * tf.nn.sigmoid(factors)  # not an activation that --activation may replace

    x = layers.arrange(images, data_format)
    # The shapes below are those of 224x224 images with the imagenet stem.
    x = swish(conv(x, 32, "conv1", 3, 2 if stem == "imagenet" else 1), "conv1")  # [b, 112, 112, 32]
    channels, number, blocks = 32, 0, sum(count for _, _, _, count, _ in STAGES)
    for stage, (side, expansion, filters, count, first_strides) in enumerate(STAGES, 1):
        for place in range(count):
            strides, shortcut = (1 if place else first_strides), x
            scope = f"block{stage}{'abcd'[place]}"
            if expansion > 1:
                x = swish(conv(x, expansion * channels, f"{scope}/expand"), f"{scope}/expand")
            x = layers.depthwise_conv2d(
                x,
                side,
                strides,
                padding="same",
                use_bias=False,
                depthwise_initializer=start,
                name=f"{scope}/depthwise",
            )
            x = layers.batch_normalization(x, training=training, name=f"{scope}/depthwise_norm")
            x = excited(swish(x, f"{scope}/depthwise"), channels // 4, scope)
            x = conv(x, filters, f"{scope}/project")
            if strides == 1 and channels == filters:
                x = layers.dropout(
                    x,
                    drop_connect * number / blocks,
                    noise_shape=tf.stack([tf.shape(x)[0], 1, 1, 1]),
                    training=training,
                    name=f"{scope}/drop",
                )
                x += shortcut
            channels, number = filters, number + 1
    x = swish(conv(x, 1280, "head"), "head")  # [b, 7, 7, 1280]
    return add_head(
        x,
        num_classes,
        training=training,
        pooling=pooling,
        dense_units=dense_units,
        dropout=dropout,
        kernel_initializer=tf.variance_scaling_initializer(1 / 3, "fan_out", "uniform"),
    )
