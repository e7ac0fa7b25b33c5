"""Inception-V3 (Szegedy et al. 2015, arXiv 1512.00567), as in Keras Applications."""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.models.argument_types import DataFormat, Rate, Stem
from cnnlab.models.head import HiddenUnits, Pooling, add_head

# One convolution of a branch: its name, the number of filters, the size of the window.
Step = tuple[str, int, Any]


def inception_v3(
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
    """Build five convolutions, eleven Inception modules, global average pooling and a dense layer.

    A convolution has no bias. Batch norm without gamma (epsilon 0.001) and a relu follow it. The
    paper's auxiliary classifier, which serves training only, is left out.

    The network has 23,851,784 parameters for 1000 classes, moving averages included, of which
    23,817,352 are trainable. A convolution of h x w from i to f channels and its batch norm have
    h*w*i*f + 3*f.
        conv1 to conv5     960 + 9,312 + 18,624 + 5,360 + 138,816 = 173,072
        mixed0 to 3        256,368; 277,968; 285,648; 1,153,920
        mixed4 to 7        1,298,944; 1,692,736; 1,692,736; 2,143,872
        mixed8 to 10       1,699,584; 5,047,872; 6,080,064
        logits             (2048+1)*1000 = 2,049,000

    Args:
        images: float32 [batch, height, width, channels], at least 75x75, or 15x15 with the cifar
            stem.
        num_classes: number of logits.
        training: whether batch norm uses the batch's statistics.
        stem: imagenet: conv1 has stride 2, and pooling layers follow conv3 and conv5. cifar: conv1
            to conv5 keep the image's size, and a pooling layer follows conv5 only.
        pooling, dense_units, dropout: the head; see `cnnlab.models.head.add_head`.
        data_format: see `layers.arrange`.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    net = _Builder(training)
    large = stem == "imagenet"
    padding = "valid" if large else "same"
    x = layers.arrange(images, data_format, min_size=75 if large else 15)
    # The shapes below are those of 299x299 images with the imagenet stem.
    x = net.conv(x, "conv1", 32, 3, strides=2 if large else 1, padding=padding)  # [b, 149, 149, 32]
    x = net.conv(x, "conv2", 32, 3, padding=padding)  # [b, 147, 147, 32]
    x = net.conv(x, "conv3", 64, 3)
    if large:
        x = layers.max_pooling2d(x, 3, 2, name="pool3")  # [b, 73, 73, 64]
    x = net.conv(x, "conv4", 80, 1)
    x = net.conv(x, "conv5", 192, 3, padding=padding)  # [b, 71, 71, 192]
    x = layers.max_pooling2d(x, 3, 2, name="pool5")  # [b, 35, 35, 192]
    for number, pooled in enumerate((32, 64, 64)):
        x = net.module_5x5(x, f"mixed{number}", pooled)  # [b, 35, 35, 256], then 288
    x = net.halve(
        x,
        "mixed3",
        [("branch3x3", 384, 3)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
    )  # [b, 17, 17, 768]
    for number, filters in enumerate((128, 160, 160, 192), 4):
        x = net.module_7x7(x, f"mixed{number}", filters)
    x = net.halve(
        x,
        "mixed8",
        [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)],
        [
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
            ("branch7x7x3_4", 192, 3),
        ],
    )  # [b, 8, 8, 1280]
    x = net.module_split(x, "mixed9")  # [b, 8, 8, 2048]
    x = net.module_split(x, "mixed10")
    return add_head(
        x,
        num_classes,
        training=training,
        pooling=pooling,
        dense_units=dense_units,
        dropout=dropout,
    )


class _Builder:
    """The builder of convolutions and modules.

    Its methods take the inputs x, float32 [batch, height, width, channels] or channels first, and
    the scope of their variables. They return a tensor in the same layout.
    """

    def __init__(self, training: bool) -> None:
        self._training = training

    def conv(
        self, x: Any, name: str, filters: int, window: Any, strides: int = 1, padding: str = "same"
    ) -> Any:
        """Build a convolution, its batch norm and a relu."""
        x = layers.conv2d(
            x, filters, window, strides=strides, padding=padding, use_bias=False, name=name
        )
        x = layers.batch_normalization(
            x, training=self._training, momentum=0.9, epsilon=1e-3, scale=False, name=f"{name}_norm"
        )
        return layers.activate(x, "relu", name=f"{name}_relu")

    def branch(self, x: Any, scope: str, *steps: Step) -> Any:
        """Build convolutions one after the other."""
        for name, filters, window in steps:
            x = self.conv(x, f"{scope}/{name}", filters, window)
        return x

    def pool_branch(self, x: Any, scope: str, filters: int) -> Any:
        """Build an average pooling layer of 3x3 and a 1x1 convolution."""
        x = layers.average_pooling2d(x, 3, 1, padding="same", name=f"{scope}/pool")
        return self.conv(x, f"{scope}/branch_pool", filters, 1)

    def module_5x5(self, x: Any, scope: str, pooled: int) -> Any:
        """Build the module of figure 5 of the paper, but with a 5x5 window in one branch."""
        branches = [
            self.branch(x, scope, ("branch1x1", 64, 1)),
            self.branch(x, scope, ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
            self.branch(
                x,
                scope,
                ("branch3x3dbl_1", 64, 1),
                ("branch3x3dbl_2", 96, 3),
                ("branch3x3dbl_3", 96, 3),
            ),
            self.pool_branch(x, scope, pooled),
        ]
        return layers.concatenate(branches, name=f"{scope}/concat")

    def module_7x7(self, x: Any, scope: str, filters: int) -> Any:
        """Build the module of figure 6: 1x7 and 7x1 convolutions replace those of 7x7."""
        branches = [
            self.branch(x, scope, ("branch1x1", 192, 1)),
            self.branch(
                x,
                scope,
                ("branch7x7_1", filters, 1),
                ("branch7x7_2", filters, (1, 7)),
                ("branch7x7_3", 192, (7, 1)),
            ),
            self.branch(
                x,
                scope,
                ("branch7x7dbl_1", filters, 1),
                ("branch7x7dbl_2", filters, (7, 1)),
                ("branch7x7dbl_3", filters, (1, 7)),
                ("branch7x7dbl_4", filters, (7, 1)),
                ("branch7x7dbl_5", 192, (1, 7)),
            ),
            self.pool_branch(x, scope, 192),
        ]
        return layers.concatenate(branches, name=f"{scope}/concat")

    def halve(self, x: Any, scope: str, *branches: list[Step]) -> Any:
        """Build the module of figure 10, which halves height and width.

        The last convolution of each branch has stride 2.
        """
        outputs = []
        for steps in branches:
            *before, (name, filters, window) = steps
            y = self.branch(x, scope, *before)
            name = f"{scope}/{name}"
            outputs.append(self.conv(y, name, filters, window, strides=2, padding="valid"))
        outputs.append(layers.max_pooling2d(x, 3, 2, name=f"{scope}/pool"))
        return layers.concatenate(outputs, name=f"{scope}/concat")

    def module_split(self, x: Any, scope: str) -> Any:
        """Build the module of figure 7: two branches split into a 1x3 and a 3x1 convolution."""
        three = self.branch(x, scope, ("branch3x3_1", 384, 1))
        double = self.branch(x, scope, ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3))
        branches = [
            self.branch(x, scope, ("branch1x1", 320, 1)),
            self.branch(three, scope, ("branch3x3_2a", 384, (1, 3))),
            self.branch(three, scope, ("branch3x3_2b", 384, (3, 1))),
            self.branch(double, scope, ("branch3x3dbl_3a", 384, (1, 3))),
            self.branch(double, scope, ("branch3x3dbl_3b", 384, (3, 1))),
            self.pool_branch(x, scope, 192),
        ]
        return layers.concatenate(branches, name=f"{scope}/concat")
