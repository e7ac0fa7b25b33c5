"""Residual networks (He et al. 2015, arXiv 1512.03385).

ResNet-18, 34, 50 and 101 are those of table 1, ResNet-20 and 56 those for CIFAR-10 of section 4.2.

The counts of parameters include the moving averages of batch norm, as in Keras Applications. Batch
norm of c channels has 4c parameters. All counts for table 1 are for 1000 classes.

A bottleneck from i to 4f channels has (i+1)*f + (9*f+1)*f + (f+1)*4f + 4*(f+f+4f) parameters. A
projection adds (i+1)*4f + 4*4f. The first block of each stage has one.
    ResNet-50    25,636,712 (trainable 25,583,592)
        conv1    (7*7*3+1)*64 + 4*64          =      9,728
        stage1   76,928 + 2 * 71,552          =    220,032
        stage2   383,232 + 3 * 282,368        =  1,230,336
        stage3   1,520,128 + 5 * 1,121,792    =  7,129,088
        stage4   6,054,912 + 2 * 4,471,808    = 14,998,528
        logits   (2048+1)*1000                =  2,049,000
    ResNet-101   44,707,176, which is 17 * 1,121,792 more

A basic block from i to f channels has 9*i*f + 9*f*f + 4*2f parameters. A projection adds i*f + 4f.
The first blocks of stages 2 to 4 have one. Convolutions have no biases here, because the batch norm
after them would cancel a bias.
    ResNet-18    11,699,112 (trainable 11,689,512)
    ResNet-34    21,814,696 (trainable 21,797,672)

The networks for CIFAR-10 have no projections. With 10 classes:
    ResNet-20    271,098 (trainable 269,722)
        conv1    9*3*16 + 64
        stage1   6 * (9*16*16 + 64)
        stage2   9*16*32 + 5 * 9*32*32 + 6 * 128
        stage3   9*32*64 + 5 * 9*64*64 + 6 * 256
        logits   650
    ResNet-56    857,082 (trainable 853,018), with 18 convolutions a stage
The paper says 0.27 and 0.85 million. With projections ResNet-20 would have 272,474 trainable ones.
"""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.data_format import channel_axis
from cnnlab.models.argument_types import DataFormat, Rate, Stem
from cnnlab.models.head import HiddenUnits, Pooling, add_head

EPSILON = 1.001e-5  # as in Keras Applications


def _network(name: str, blocks: tuple[int, ...], *, has_bottlenecks: bool) -> Any:
    """Return the model function of a network of table 1.

    Args:
        name: of the function.
        blocks: the number of blocks in each of the four stages.
        has_bottlenecks: whether blocks are bottlenecks; otherwise they are basic blocks.
    """

    def network(
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
        """Build a convolution, four stages of residual blocks, and a dense layer.

        Global average pooling is before the dense layer. Bottlenecks follow ResNet50 and ResNet101
        (version 1) of Keras Applications. The first 1x1 convolution has the stride of a stage, as
        in the paper, and convolutions have biases.

        Args:
            images: float32 [batch, height, width, channels].
            num_classes: number of logits.
            training: whether batch norm uses the batch's statistics.
            stem: imagenet: conv1 is 7x7 with stride 2, and a pooling layer follows it. cifar: conv1
                is 3x3 with stride 1, without a pooling layer.
            pooling, dense_units, dropout: the head; see `cnnlab.models.head.add_head`.
            data_format: see `layers.arrange`.

        Returns:
            The logits, float32 [batch, num_classes], unscaled.
        """
        block = _bottleneck if has_bottlenecks else _basic
        x = layers.arrange(images, data_format)
        # The shapes below are those of 224x224 images with the imagenet stem.
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
        return add_head(
            x,
            num_classes,
            training=training,
            pooling=pooling,
            dense_units=dense_units,
            dropout=dropout,
        )

    network.__name__ = network.__qualname__ = name
    return network


def _small_network(name: str, blocks: int) -> Any:
    """Return the model function of a network of section 4.2.

    Args:
        name: of the function.
        blocks: the number of blocks in each of the three stages.
    """

    def network(
        images: Any,
        num_classes: int,
        *,
        training: bool,
        pooling: Pooling = "average",
        dense_units: HiddenUnits = (),
        dropout: Rate = 0.0,
        data_format: DataFormat = "channels_last",
    ) -> Any:
        """Build a 3x3 convolution, three stages of residual blocks, and a dense layer.

        Global average pooling is before the dense layer. The stages have 16, 32 and 64 channels.
        Shortcuts have no weights (option A of the paper). Where a stage halves the image, its
        shortcut takes every other row and column, and its new channels are zero.

        Args:
            images: float32 [batch, height, width, channels].
            num_classes: number of logits.
            training: whether batch norm uses the batch's statistics.
            pooling, dense_units, dropout: the head; see `cnnlab.models.head.add_head`.
            data_format: see `layers.arrange`.

        Returns:
            The logits, float32 [batch, num_classes], unscaled.
        """
        x = layers.arrange(images, data_format)
        x = _conv(x, 16, 3, "conv1", training)
        x = layers.activate(x, "relu", name="conv1_relu")  # [b, 32, 32, 16]
        for stage, filters in enumerate((16, 32, 64), 1):
            for number in range(1, blocks + 1):
                strides = 2 if stage > 1 and number == 1 else 1
                x = _basic(x, filters, f"stage{stage}/block{number}", training, strides, False)
        # [b, 8, 8, 64]
        return add_head(
            x,
            num_classes,
            training=training,
            pooling=pooling,
            dense_units=dense_units,
            dropout=dropout,
        )

    network.__name__ = network.__qualname__ = name
    return network


def _bottleneck(
    inputs: Any, filters: int, name: str, training: bool, strides: int, projects: bool
) -> Any:
    """Build a bottleneck block (figure 5, right, of the paper).

    A 1x1 convolution reduces the inputs to `filters` channels, a 3x3 convolution follows, and a 1x1
    convolution makes 4 * filters channels. The shortcut is added before the last relu.
    """
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
    """Build a basic block (figure 5, left, of the paper).

    It has two 3x3 convolutions. The shortcut is added before the last relu.
    """
    x = _conv(inputs, filters, 3, f"{name}/conv1", training, strides=strides)
    x = layers.activate(x, "relu", name=f"{name}/relu1")
    x = _conv(x, filters, 3, f"{name}/conv2", training)
    if projects:
        shortcut = _conv(inputs, filters, 1, f"{name}/shortcut", training, strides=strides)
    else:
        shortcut = _identity(inputs, filters, strides, f"{name}/shortcut")
    return layers.activate(x + shortcut, "relu", name=f"{name}/relu2")


def _identity(inputs: Any, filters: int, strides: int, name: str) -> Any:
    """Return the inputs as a shortcut.

    With strides, take every other row and column, and append channels of zeros up to `filters`.
    """
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
    """Build a convolution and its batch norm.

    Args:
        x: float32 [batch, height, width, channels], or channels first.
        filters: number of output channels.
        side: height and width of the kernel.
        name: of the layer.
        training: whether batch norm uses the batch's statistics.
        strides: step between two windows, in pixels.
        bias: whether the convolution has a bias.
    """
    padding = "same"
    if strides > 1 and side > 1:
        # With strides, "same" would pad the right and lower sides only. Equal padding on all sides
        # centres the windows on the pixels that a shortcut takes.
        x = layers.zero_padding2d(x, side // 2, name=f"{name}_pad")
        padding = "valid"
    x = layers.conv2d(
        x,
        filters,
        side,
        strides=strides,
        padding=padding,
        use_bias=bias,
        kernel_initializer="he_normal",  # He et al. 2015 (arXiv 1502.01852), as in the paper
        name=name,
    )
    return layers.batch_normalization(
        x, training=training, momentum=0.9, epsilon=EPSILON, name=f"{name}_norm"
    )


resnet18 = _network("resnet18", (2, 2, 2, 2), has_bottlenecks=False)
resnet34 = _network("resnet34", (3, 4, 6, 3), has_bottlenecks=False)
resnet50 = _network("resnet50", (3, 4, 6, 3), has_bottlenecks=True)
resnet101 = _network("resnet101", (3, 4, 23, 3), has_bottlenecks=True)
resnet20 = _small_network("resnet20", 3)
resnet56 = _small_network("resnet56", 9)
