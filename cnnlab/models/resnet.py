"""Residual networks (He et al. 2015, arXiv 1512.03385): ResNet-18, 34, 50 and 101 of table 1, and
ResNet-20 and 56 for CIFAR-10 of section 4.2.

Parameters with 1000 classes, as Keras Applications counts, that is with batch norm's moving
averages: c channels of batch norm have 4c. A bottleneck that makes 4f of i channels has
(i+1)*f + (9*f+1)*f + (f+1)*4f + 4*(f+f+4f), with a projection (i+1)*4f + 4*4f more.
    ResNet-50    25,636,712 (trainable 25,583,592)
        conv1    (7*7*3+1)*64 + 4*64 = 9,728
        stage1   76,928 + 2 * 71,552 = 220,032; of these 1 and 2 blocks the projection is in the
                 first, and so on:
        stage2   383,232 + 3 * 282,368 = 1,230,336
        stage3   1,520,128 + 5 * 1,121,792 = 7,129,088
        stage4   6,054,912 + 2 * 4,471,808 = 14,998,528
        logits   (2048+1)*1000 = 2,049,000
    ResNet-101   44,707,176: 17 * 1,121,792 more
Basic blocks have no biases in convolutions (batch norm takes them away): from i to f channels
9*i*f + 9*f*f + 4*2f, with a projection i*f + 4f more.
    ResNet-18    11,699,112 (trainable 11,689,512)
    ResNet-34    21,814,696 (trainable 21,797,672)
With 10 classes and no projections:
    ResNet-20    271,098 (trainable 269,722): conv1 9*3*16 + 64; stage1 6 * (9*16*16 + 64);
                 stage2 9*16*32 + 5 * 9*32*32 + 6 * 128; stage3 9*32*64 + 5 * 9*64*64 + 6 * 256;
                 logits 650. The paper says 0.27M; 272,474 is the trainable count with projections.
    ResNet-56    857,082 (trainable 853,018): 18 convolutions a stage; the paper says 0.85M.
"""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.data_format import channel_axis
from cnnlab.models.argument_types import DataFormat, Stem

EPSILON = 1.001e-5  # Keras Applications'


def _network(name: str, blocks: tuple[int, ...], *, has_bottlenecks: bool) -> Any:
    """The network of table 1 that has so many blocks in each stage."""

    def network(
        images: Any,
        num_classes: int,
        *,
        training: bool,
        stem: Stem = "imagenet",
        data_format: DataFormat = "channels_last",
    ) -> Any:
        """A convolution and four stages of residual blocks, the mean over all places, one dense
        layer.

        Bottlenecks are those of Keras Applications' ResNet50 and ResNet101 (version 1): a stage's
        stride is in the first 1x1 convolution, as in the paper, and convolutions have biases.

        Args:
            images: float32 [batch, height, width, channels].
            num_classes: number of logits.
            training: whether batch norm goes by the batch.
            stem: imagenet: conv1 is 7x7 with stride 2, a pool after it; cifar: 3x3 with stride 1
                and no pool.
            data_format: see `layers.arrange`.

        Returns:
            float32 [batch, num_classes], unscaled.
        """
        block = _bottleneck if has_bottlenecks else _basic
        x = layers.arrange(images, data_format)
        # Sizes in brackets are those of 224x224 with the imagenet stem.
        if stem == "imagenet":
            x = _conv(x, 64, 7, "conv1", training, strides=2, bias=has_bottlenecks)
            x = layers.activate(x, "relu", name="conv1_relu")  # [b, 112, 112, 64]
            x = layers.zero_padding2d(x, 1, name="pool1_pad")
            x = layers.max_pooling2d(x, 3, 2, name="pool1")  # [b, 56, 56, 64]
        else:
            x = _conv(x, 64, 3, "conv1", training, bias=has_bottlenecks)
            x = layers.activate(x, "relu", name="conv1_relu")
        for stage, (count, filters) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True), 1):
            for number in range(1, count + 1):
                strides = 2 if stage > 1 and number == 1 else 1
                projects = number == 1 and (has_bottlenecks or stage > 1)
                x = block(x, filters, f"stage{stage}/block{number}", training, strides, projects)
        # [b, 7, 7, 512] or [b, 7, 7, 2048]
        x = layers.global_average_pooling2d(x, name="mean")
        return layers.dense(x, num_classes, name="logits")

    network.__name__ = network.__qualname__ = name
    return network


def _small_network(name: str, blocks: int) -> Any:
    """The network of section 4.2 that has so many blocks in each stage."""

    def network(
        images: Any,
        num_classes: int,
        *,
        training: bool,
        data_format: DataFormat = "channels_last",
    ) -> Any:
        """A 3x3 convolution and three stages of residual blocks of 16, 32 and 64 channels, the mean
        over all places, one dense layer.

        Shortcuts have no weights: where a stage halves the image, every other place is taken and
        the new channels are zero (option A of the paper).

        Args:
            images: float32 [batch, height, width, channels].
            num_classes: number of logits.
            training: whether batch norm goes by the batch.
            data_format: see `layers.arrange`.

        Returns:
            float32 [batch, num_classes], unscaled.
        """
        x = layers.arrange(images, data_format)
        x = _conv(x, 16, 3, "conv1", training)
        x = layers.activate(x, "relu", name="conv1_relu")  # [b, 32, 32, 16]
        for stage, filters in enumerate((16, 32, 64), 1):
            for number in range(1, blocks + 1):
                strides = 2 if stage > 1 and number == 1 else 1
                x = _basic(x, filters, f"stage{stage}/block{number}", training, strides, False)
        # [b, 8, 8, 64]
        x = layers.global_average_pooling2d(x, name="mean")  # [b, 64]
        return layers.dense(x, num_classes, name="logits")

    network.__name__ = network.__qualname__ = name
    return network


def _bottleneck(
    inputs: Any, filters: int, name: str, training: bool, strides: int, projects: bool
) -> Any:
    """1x1 to fewer channels, 3x3, 1x1 to four times as many; added to the inputs."""
    x = _conv(inputs, filters, 1, f"{name}/conv1", training, strides=strides, bias=True)
    x = layers.activate(x, "relu", name=f"{name}/relu1")
    x = _conv(x, filters, 3, f"{name}/conv2", training, bias=True)
    x = layers.activate(x, "relu", name=f"{name}/relu2")
    shortcut = inputs
    if projects:
        shortcut = _conv(
            inputs, 4 * filters, 1, f"{name}/shortcut", training, strides=strides, bias=True
        )
    x = _conv(x, 4 * filters, 1, f"{name}/conv3", training, bias=True)
    return layers.activate(x + shortcut, "relu", name=f"{name}/relu3")


def _basic(
    inputs: Any, filters: int, name: str, training: bool, strides: int, projects: bool
) -> Any:
    """3x3 twice, added to the inputs."""
    x = _conv(inputs, filters, 3, f"{name}/conv1", training, strides=strides)
    x = layers.activate(x, "relu", name=f"{name}/relu1")
    x = _conv(x, filters, 3, f"{name}/conv2", training)
    if projects:
        shortcut = _conv(inputs, filters, 1, f"{name}/shortcut", training, strides=strides)
    else:
        shortcut = _identity(inputs, filters, strides, f"{name}/shortcut")
    return layers.activate(x + shortcut, "relu", name=f"{name}/relu2")


def _identity(inputs: Any, filters: int, strides: int, name: str) -> Any:
    """The inputs; with strides, every other place and channels of zeros up to `filters`."""
    if strides == 1:
        return inputs
    x = layers.max_pooling2d(inputs, 1, strides, name=name)
    axis = channel_axis(x)
    paddings = [[0, 0]] * 4
    paddings[axis] = [0, filters - int(x.shape[axis])]
    return tf.pad(x, paddings)


def _conv(
    x: Any,
    filters: int,
    side: int,
    name: str,
    training: bool,
    *,
    strides: int = 1,
    bias: bool = False,
) -> Any:
    """A convolution and its batch norm."""
    padding = "same"
    if strides > 1 and side > 1:
        # As much on either side, so that windows lie around the places that a shortcut takes; with
        # strides "same" would pad the right and lower sides alone.
        x = layers.zero_padding2d(x, side // 2, name=f"{name}_pad")
        padding = "valid"
    x = layers.conv2d(
        x,
        filters,
        side,
        strides=strides,
        padding=padding,
        use_bias=bias,
        kernel_initializer="he_normal",  # He et al. 2015 (arXiv 1502.01852), as the paper says
        name=name,
    )
    return layers.batch_normalization(x, training=training, epsilon=EPSILON, name=f"{name}_norm")


resnet18 = _network("resnet18", (2, 2, 2, 2), has_bottlenecks=False)
resnet34 = _network("resnet34", (3, 4, 6, 3), has_bottlenecks=False)
resnet50 = _network("resnet50", (3, 4, 6, 3), has_bottlenecks=True)
resnet101 = _network("resnet101", (3, 4, 23, 3), has_bottlenecks=True)
resnet20 = _small_network("resnet20", 3)
resnet56 = _small_network("resnet56", 9)
