"""A small network for the age and the gender of a face.

Levi and Hassner 2015, "Age and Gender Classification Using Convolutional Neural Networks".
"""

from __future__ import annotations

from typing import Any

from cnnlab import layers
from cnnlab.models.argument_types import Rate, Units

# Caffe, which the paper uses, divides its alpha of 1e-4 by the five channels.
RESPONSE: dict[str, Any] = {"depth_radius": 2, "bias": 1.0, "alpha": 2e-5, "beta": 0.75}


def age_gender(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    dense_units: Units = 512,
    dropout: Rate = 0.5,
) -> Any:
    """Build three convolutions with pooling, two dense layers with dropout, and the logits.

    The paper (section 3.1) trains one network for the age and one for the gender. With heads for
    both, this is one network, which ends in a softmax for each.

    The network has 11,416,074 parameters for 227x227x3 images, 8 ages and 2 genders:
        conv1     7*7*3*96 + 96          =     14,208
        conv2     5*5*96*256 + 256       =    614,656
        conv3     3*3*256*384 + 384      =    885,120
        dense1    7*7*384*512 + 512      =  9,634,304
        dense2    512*512 + 512          =    262,656
        logits    512*(8 + 2) + (8 + 2)  =      5,130

    Args:
        images: float32 [batch, height, width, channels], at least 7 pixels high and wide.
        num_classes: number of logits, of all heads together.
        training: whether dropout is active.
        dense_units: the number of outputs (>= 1) of each hidden dense layer.
        dropout: the fraction of elements to drop after each hidden dense layer, in [0, 1).

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    relu: dict[str, Any] = {"activation": "relu", "kernel_initializer": "normal"}  # N(0, 0.01^2)
    # The paper's framework rounds the sizes of pooled layers up, as padding "same" does.
    pool: dict[str, Any] = {"pool_size": 3, "strides": 2, "padding": "same"}
    x = layers.conv2d(images, 96, 7, strides=4, name="conv1", **relu)  # [b, 56, 56, 96]
    x = layers.max_pooling2d(x, name="pool1", **pool)  # [b, 28, 28, 96]
    x = layers.local_response_normalization(x, name="conv1_norm", **RESPONSE)
    x = layers.conv2d(x, 256, 5, padding="same", name="conv2", **relu)
    x = layers.max_pooling2d(x, name="pool2", **pool)  # [b, 14, 14, 256]
    x = layers.local_response_normalization(x, name="conv2_norm", **RESPONSE)
    x = layers.conv2d(x, 384, 3, padding="same", name="conv3", **relu)
    x = layers.max_pooling2d(x, name="pool3", **pool)  # [b, 7, 7, 384]
    x = layers.flatten(x, name="flatten")  # [b, 18816]
    for scope in ("dense1", "dense2"):
        x = layers.dense(x, dense_units, name=scope, **relu)
        x = layers.dropout(x, dropout, training=training, name=f"{scope}_dropout")
    return layers.dense(x, num_classes, kernel_initializer="normal", name="logits")
