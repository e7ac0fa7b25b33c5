"""AlexNet without the paper's split over two GPUs.

Krizhevsky, Sutskever and Hinton 2012, "ImageNet Classification with Deep Convolutional Neural
Networks".
"""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.models.argument_types import DataFormat, Rate, Stem, Units


def alexnet(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    stem: Stem = "imagenet",
    dense_units: Units = 4096,
    dropout: Rate = 0.5,
    data_format: DataFormat = "channels_last",
) -> Any:
    """Build five convolutions, three pooling layers and three dense layers.

    Local response normalization follows the first two convolutions (section 3.5 of the paper).

    Departures from the paper:
    - The paper splits convolutions 2, 4 and 5 over two GPUs. Here each reads all channels.
    - Weights start as in He et al. 2015 (arXiv 1502.01852), which suits relu. The paper uses
      N(0, 0.01^2) for weights, which `--kernel_initializer=normal` gives, and 1 for some biases.
    The fifth convolution has 256 filters, as in the paper. Some texts say 384, which is a misprint.

    The network has 62,378,344 parameters for 224x224x3 images and 1000 classes. The paper says 60
    million, because of its split.
        conv1     (11*11*3+1)*96      =     34,944
        conv2     (5*5*96+1)*256      =    614,656
        conv3     (3*3*256+1)*384     =    885,120
        conv4     (3*3*384+1)*384     =  1,327,488
        conv5     (3*3*384+1)*256     =    884,992
        dense1    (6*6*256+1)*4096    = 37,752,832
        dense2    (4096+1)*4096       = 16,781,312
        logits    (4096+1)*1000       =  4,097,000

    Args:
        images: float32 [batch, height, width, channels], at least 63x63, or 15x15 with the cifar
            stem.
        num_classes: number of logits.
        training: whether dropout is active.
        stem: imagenet: conv1 is 11x11 with stride 4. cifar: conv1 is 5x5 with stride 1.
        dense_units: the number of outputs (>= 1) of each hidden dense layer.
        dropout: the fraction of elements to drop after each hidden dense layer, in [0, 1).
        data_format: see `layers.arrange`.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    relu: dict[str, Any] = {
        "activation": "relu",
        "padding": "same",
        "kernel_initializer": "he_normal",
    }
    # Section 3.3 of the paper.
    response: dict[str, Any] = {"depth_radius": 2, "bias": 2.0, "alpha": 1e-4, "beta": 0.75}
    x = layers.arrange(images, data_format, min_size=63 if stem == "imagenet" else 15)
    # The shapes below are those of 224x224 images with the imagenet stem.
    if stem == "imagenet":
        x = layers.zero_padding2d(x, 2, name="conv1_pad")  # so that 224 gives the paper's 55
        relu_valid = {**relu, "padding": "valid"}
        x = layers.conv2d(x, 96, 11, strides=4, name="conv1", **relu_valid)  # [b, 55, 55, 96]
    else:
        x = layers.conv2d(x, 96, 5, name="conv1", **relu)
    x = layers.local_response_normalization(x, name="conv1_norm", **response)
    x = layers.max_pooling2d(x, 3, 2, name="pool1")  # [b, 27, 27, 96]
    x = layers.conv2d(x, 256, 5, name="conv2", **relu)
    x = layers.local_response_normalization(x, name="conv2_norm", **response)
    x = layers.max_pooling2d(x, 3, 2, name="pool2")  # [b, 13, 13, 256]
    x = layers.conv2d(x, 384, 3, name="conv3", **relu)
    x = layers.conv2d(x, 384, 3, name="conv4", **relu)
    x = layers.conv2d(x, 256, 3, name="conv5", **relu)
    x = layers.max_pooling2d(x, 3, 2, name="pool5")  # [b, 6, 6, 256]
    x = layers.flatten(x, name="flatten")  # [b, 9216]
    for scope in ("dense1", "dense2"):
        x = layers.dense(x, dense_units, activation="relu", name=scope)
        x = layers.dropout(x, dropout, training=training, name=f"{scope}_dropout")
    return layers.dense(x, num_classes, name="logits")
