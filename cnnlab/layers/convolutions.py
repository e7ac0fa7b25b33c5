"""Convolutions: windows over one, two or three axes, and their transposes."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import legacy_convolutional
from cnnlab.layers.building import apply_layer, chosen
from cnnlab.layers.kernels.convolution import convolution_layer


def conv1d(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """Add a convolution over one axis, a bias and an activation.

    Args:
        inputs: float [batch, length, channels].
        kernel_size: length of the window.
        data_format: channels_last or channels_first. Default: channels_last.
        name: scope of the variables `kernel` [window, channels, filters] and `bias` [filters].
        filters and the other arguments: see `conv2d`.

    Returns:
        float [batch, new length, filters].
    """
    return apply_layer(legacy_convolutional.Conv1D, "conv1d", locals())


def conv2d(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """Add a convolution, a bias and an activation.

    With stride s and the window's pixels (i, j), the output of filter f at (y, x) is

    activation(bias[f] + sum over i, j, c of inputs[s * y + i, s * x + j, c] * kernel[i, j, c, f])

    Args:
        inputs: float [batch, height, width, channels].
        filters: number of output channels (>= 1).
        kernel_size: height and width of the window in pixels: one number for both, or a pair.
        strides: step from one window to the next in pixels, one number or a pair.
        padding: valid: only windows within the image. same: the image is padded with zeros.
        data_format: channels_last or channels_first. Default: as `arrange` says, else
            channels_last.
        dilation_rate: distance of a window's neighbouring pixels, one number or a pair.
        activation: a function or a name of `activations.py`. Default: none.
        use_bias: whether to add a bias.
        kernel_initializer, bias_initializer: an initializer or a name of `initializers.py`.
            Default: Glorot uniform for the kernel, zeros for the bias.
        kernel_regularizer, bias_regularizer: a function from the variable to a penalty, as from
            `l1_l2`. Training adds the penalty to the loss.
        activity_regularizer: a function from the outputs to a penalty, which is divided by the
            number of images.
        kernel_constraint, bias_constraint: a function from the variable to the value that it gets
            after each update.
        trainable: whether training changes the variables.
        name: scope of the variables `kernel` [window height, window width, channels, filters] and
            `bias` [filters]. A second layer of the same name gets the name with the suffix _1, and
            so on.
        reuse: True: share the variables of the earlier layer of this name. `tf.AUTO_REUSE`: share
            them if there is one.

    Returns:
        float [batch, new height, new width, filters]. With padding valid, new height is
        floor((height - window height) / stride) + 1. With same, it is ceil(height / stride).
    """
    return apply_layer(chosen(convolution_layer), "conv2d", locals())


def conv3d(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1, 1),
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """Add a convolution over three axes, a bias and an activation.

    Args:
        inputs: float [batch, depth, height, width, channels].
        kernel_size: depth, height and width of the window: one number for all, or three.
        data_format: channels_last or channels_first. Default: channels_last.
        name: scope of the variables `kernel` [window depth, window height, window width, channels,
            filters] and `bias` [filters].
        filters and the other arguments: see `conv2d`.

    Returns:
        float [batch, new depth, new height, new width, filters].
    """
    return apply_layer(legacy_convolutional.Conv3D, "conv3d", locals())


def conv2d_transpose(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """Add a transposed convolution, a bias and an activation.

    It is the gradient of a convolution with respect to its inputs: each pixel adds a window, which
    it multiplies, to the output. Zeiler et al. 2010, "Deconvolutional Networks".

    Args:
        inputs: float [batch, height, width, channels].
        strides: step from one window of the output to the next in pixels, one number or a pair.
        padding: valid: every window is within the output. same: the output is cut to
            height * stride.
        name: scope of the variables `kernel` [window height, window width, filters, channels] and
            `bias` [filters].
        filters and the other arguments: see `conv2d`.

    Returns:
        float [batch, new height, new width, filters]. With padding valid, new height is
        height * stride + max(window height - stride, 0). With same, it is height * stride.
    """
    return apply_layer(legacy_convolutional.Conv2DTranspose, "conv2d_transpose", locals())


def conv3d_transpose(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """Add a transposed convolution over three axes, a bias and an activation.

    Args:
        inputs: float [batch, depth, height, width, channels].
        data_format: channels_last or channels_first. Default: channels_last.
        name: scope of the variables `kernel` [window depth, window height, window width, filters,
            channels] and `bias` [filters].
        filters and the other arguments: see `conv2d_transpose`.

    Returns:
        float [batch, new depth, new height, new width, filters].
    """
    return apply_layer(legacy_convolutional.Conv3DTranspose, "conv3d_transpose", locals())
