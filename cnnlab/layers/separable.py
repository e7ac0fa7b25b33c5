"""Depthwise convolutions, one window a channel, and separable ones, then a product over channels.

Chollet 2016, "Xception" (arXiv 1610.02357), section 2.
"""

from __future__ import annotations

import functools
from typing import Any

from cnnlab.base.tf1 import legacy_convolutional
from cnnlab.layers.building import apply_layer


def separable_conv1d(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    depth_multiplier: int = 1,
    activation: Any = None,
    use_bias: bool = True,
    depthwise_initializer: Any = None,
    pointwise_initializer: Any = None,
    bias_initializer: Any = "zeros",
    depthwise_regularizer: Any = None,
    pointwise_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    depthwise_constraint: Any = None,
    pointwise_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """Add a separable convolution over one axis, a bias and an activation.

    Args:
        inputs: float [batch, length, channels].
        kernel_size: length of the window.
        data_format: channels_last or channels_first. Default: channels_last.
        name: scope of the variables `depthwise_kernel` [window, channels, depth_multiplier],
            `pointwise_kernel` [1, channels * depth_multiplier, filters] and `bias` [filters].
        filters and the other arguments: see `separable_conv2d`.

    Returns:
        float [batch, new length, filters].
    """
    return apply_layer(legacy_convolutional.SeparableConv1D, "separable_conv1d", locals())


def separable_conv2d(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    depth_multiplier: int = 1,
    activation: Any = None,
    use_bias: bool = True,
    depthwise_initializer: Any = None,
    pointwise_initializer: Any = None,
    bias_initializer: Any = "zeros",
    depthwise_regularizer: Any = None,
    pointwise_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    depthwise_constraint: Any = None,
    pointwise_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """Add a separable convolution, a bias and an activation.

    Each channel is convolved with `depth_multiplier` windows of its own. A 1x1 convolution over all
    the results follows. Nothing is between the two.

    Args:
        inputs: float [batch, height, width, channels].
        filters: number of output channels (>= 1).
        depth_multiplier: number of windows of each channel (>= 1).
        depthwise_initializer, pointwise_initializer: an initializer or a name, for each kernel.
            Default: Glorot uniform.
        depthwise_regularizer, pointwise_regularizer: a function from the kernel to a penalty.
        depthwise_constraint, pointwise_constraint: a function from the kernel to the value that it
            gets after each update.
        name: scope of the variables `depthwise_kernel` [window height, window width, channels,
            depth_multiplier], `pointwise_kernel` [1, 1, channels * depth_multiplier, filters] and
            `bias` [filters].
        kernel_size and the other arguments: see `cnnlab.layers.conv2d`. TensorFlow needs equal
            strides for height and width.

    Returns:
        float [batch, new height, new width, filters], with the sizes of `conv2d`.
    """
    return apply_layer(legacy_convolutional.SeparableConv2D, "separable_conv2d", locals())


def depthwise_conv2d(
    inputs: Any,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    depth_multiplier: int = 1,
    activation: Any = None,
    use_bias: bool = True,
    depthwise_initializer: Any = None,
    bias_initializer: Any = "zeros",
    depthwise_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    depthwise_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """Add a convolution of each channel with windows of its own, a bias and an activation.

    It is the first half of `separable_conv2d`. `tf.layers` has no such layer; names and defaults
    are those of Keras's DepthwiseConv2D.

    Args:
        inputs: float [batch, height, width, channels].
        depth_multiplier: number of windows of each channel (>= 1).
        name: scope of the variables `depthwise_kernel` [window height, window width, channels,
            depth_multiplier] and `bias` [channels * depth_multiplier].
        kernel_size and the other arguments: see `separable_conv2d`.

    Returns:
        float [batch, new height, new width, channels * depth_multiplier], with the sizes of
        `conv2d`.
    """
    return apply_layer(_depthwise_class(), "depthwise_conv2d", locals())


@functools.cache
def _depthwise_class() -> Any:
    """Return the class of a depthwise layer, which makes its variables as those of `tf.layers`.

    It is made at the first use, because tf_keras is loaded then.
    """
    base = legacy_convolutional.base.Layer
    keras_class = legacy_convolutional.keras_layers.DepthwiseConv2D
    return type("DepthwiseConv2D", (keras_class, base), {})
