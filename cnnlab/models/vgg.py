"""VGG-11, 13, 16 and 19 (Simonyan and Zisserman 2014, arXiv 1409.1556, table 1: A, B, D, E).

VGG-16 has 138,357,544 parameters for 224x224x3 images and 1000 classes, as in Keras Applications:
    block1  (9*3+1)*64 + (9*64+1)*64                    =      38,720
    block2  (9*64+1)*128 + (9*128+1)*128                =     221,440
    block3  (9*128+1)*256 + 2*(9*256+1)*256             =   1,475,328
    block4  (9*256+1)*512 + 2*(9*512+1)*512             =   5,899,776
    block5  3*(9*512+1)*512                             =   7,079,424
    dense1  (7*7*512+1)*4096                            = 102,764,544
    dense2  (4096+1)*4096                               =  16,781,312
    logits  (4096+1)*1000                               =   4,097,000
VGG-11 has 132,863,336 parameters, VGG-13 133,047,848 and VGG-19 143,667,240.
"""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.models.argument_types import DataFormat, Rate
from cnnlab.models.head import HiddenUnits, Pooling, add_head

FILTERS = (64, 128, 256, 512, 512)


def _network(name: str, convolutions: tuple[int, ...]) -> Any:
    """Return the model function of a VGG network.

    Args:
        name: of the function.
        convolutions: the number of convolutions in each of the five blocks.
    """

    def network(
        images: Any,
        num_classes: int,
        *,
        training: bool,
        pooling: Pooling = "flatten",
        dense_units: HiddenUnits = 4096,
        dropout: Rate = 0.5,
        batch_norm: bool = False,
        data_format: DataFormat = "channels_last",
    ) -> Any:
        """Build five blocks of 3x3 convolutions and three dense layers.

        A pooling layer ends each block. Kernels of convolutions start as in He et al. 2015 (arXiv
        1502.01852), which suits relu.

        Args:
            images: float32 [batch, height, width, channels], at least 32x32.
            num_classes: number of logits.
            training: whether dropout is active and batch norm uses the batch's statistics.
            pooling: average, max or flatten, after the last block; see
                `cnnlab.models.head.add_head`.
            dense_units: the number of outputs (>= 1) of each of the two hidden dense layers; or a
                list with a number for each of any number of layers.
            dropout: the fraction of elements to drop after each hidden dense layer, in [0, 1).
            batch_norm: whether to add batch norm between each convolution and its relu. The paper
                has none, but without it the deeper networks hardly start to learn on small images.
            data_format: see `layers.arrange`.

        Returns:
            The logits, float32 [batch, num_classes], unscaled.
        """
        x = layers.arrange(images, data_format, min_size=32)
        for block, (count, filters) in enumerate(zip(convolutions, FILTERS, strict=True), 1):
            for number in range(1, count + 1):
                scope = f"block{block}/conv{number}"
                x = layers.conv2d(
                    x, filters, 3, padding="same", kernel_initializer="he_normal", name=scope
                )
                if batch_norm:
                    x = layers.batch_normalization(
                        x, training=training, momentum=0.9, name=f"{scope}_norm"
                    )
                x = layers.activate(x, "relu", name=f"{scope}_relu")
            x = layers.max_pooling2d(x, 2, 2, name=f"block{block}/pool")
        # [b, height/32, width/32, 512]
        return add_head(
            x,
            num_classes,
            training=training,
            pooling=pooling,
            dense_units=[dense_units] * 2 if isinstance(dense_units, int) else dense_units,
            dropout=dropout,
        )

    network.__name__ = network.__qualname__ = name
    return network


vgg11 = _network("vgg11", (1, 1, 2, 2, 2))
vgg13 = _network("vgg13", (2, 2, 2, 2, 2))
vgg16 = _network("vgg16", (2, 2, 3, 3, 3))
vgg19 = _network("vgg19", (2, 2, 4, 4, 4))
