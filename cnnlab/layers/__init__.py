"""The layers that models are made of.

    from cnnlab import layers

    def model(images, num_classes, *, training):  # images: [b, 32, 32, 3]
        x = layers.conv2d(images, 64, 3, padding="same", activation="relu")  # [b, 32, 32, 64]
        x = layers.max_pooling2d(x, 2, 2)  # [b, 16, 16, 64]
        x = layers.flatten(x)  # [b, 16384]
        x = layers.dropout(x, 0.5, training=training)
        return layers.dense(x, num_classes, name="logits")

Each function adds one layer to the graph and returns the layer's output. Names and arguments are
those of TensorFlow 1's `tf.layers`. The differences make training reproducible:

- A model is built several times: for training, and for inference. A layer has the same name each
  time, so all copies share its variables.
- The start of a variable depends only on the run's seed and the variable's name.
- Dropout depends only on the run's seed, the step and the layer's name.
- The penalty of a regularizer is part of the training network, so its gradient reaches the weights.
- The output of each layer is recorded under the layer's name, for summaries.
- Activations and initializers may be names (see `activations.py` and `initializers.py`).

Options of a run can replace a model's own settings: `--activation` those of all layers that have an
activation, `--kernel_initializer` those of all kernels. `--l1` and `--l2` apply to all kernels that
have no regularizer.

Images are [batch, height, width, channels]. After `arrange` with channels_first they are [batch,
channels, height, width].

A model may also use TensorFlow's own operations. One that draws random numbers needs a key of the
current step as the seed of a stateless random op. Keys exist in training only:

    if training:
        x += tf.random.stateless_normal(tf.shape(x), seed=cnnlab.random_key("noise"))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.base.tf1 import legacy_core, legacy_pooling, tf
from cnnlab.layers import tower as towers
from cnnlab.layers.activations import find_activation
from cnnlab.layers.building import apply_function, apply_layer, chosen
from cnnlab.layers.data_format import arrange, channel_axis, place_axes
from cnnlab.layers.dropout import dropout, spatial_dropout
from cnnlab.layers.kernels.convolution import convolution_layer
from cnnlab.layers.kernels.dense import dense_layer
from cnnlab.layers.kernels.pooling import max_pooling_layer
from cnnlab.layers.normalization import (
    batch_normalization,
    group_normalization,
    local_response_normalization,
)
from cnnlab.layers.regularizers import l1_l2

__all__ = [
    "activate",
    "arrange",
    "average_pooling2d",
    "batch_normalization",
    "concatenate",
    "conv2d",
    "dense",
    "dropout",
    "flatten",
    "global_average_pooling2d",
    "group_normalization",
    "l1_l2",
    "local_response_normalization",
    "max_pooling2d",
    "spatial_dropout",
    "zero_padding2d",
]


def conv2d(
    inputs: Any, filters: int, kernel_size: Any, name: str | None = None, **kwargs: Any
) -> Any:
    """Add a convolution, a bias and an activation.

    With stride s and the window's pixels (i, j), the output of filter f at (y, x) is

    activation(bias[f] + sum over i, j, c of inputs[s * y + i, s * x + j, c] * kernel[i, j, c, f])

    Args:
        inputs: float [batch, height, width, channels].
        filters: number of output channels (>= 1).
        kernel_size: height and width of the window in pixels: one number for both, or a pair.
        name: scope of the variables `kernel` [window height, window width, channels, filters] and
            `bias` [filters].
        **kwargs: the other arguments of `tf.layers.conv2d`, among them
            strides: step from one window to the next in pixels, one number or a pair. Default: 1.
            padding: valid: only windows within the image. same: the image is padded with zeros.
                Default: valid.
            activation: a function or a name. Default: none.
            use_bias: default: True.
            kernel_initializer: an initializer or a name. Default: Glorot uniform.
            kernel_regularizer: a function from the kernel to a penalty, as from `l1_l2`.

    Returns:
        float [batch, new height, new width, filters]. With padding valid, new height is
        floor((height - window height) / stride) + 1. With same, it is ceil(height / stride).
    """
    kwargs.update(filters=filters, kernel_size=kernel_size)
    return apply_layer(chosen(convolution_layer), "conv2d", inputs, name, kwargs)


def dense(inputs: Any, units: int, name: str | None = None, **kwargs: Any) -> Any:
    """Add a dense layer: activation(inputs @ kernel + bias).

    Args:
        inputs: float [batch, features].
        units: number of outputs (>= 1).
        name: scope of the variables `kernel` [features, units] and `bias` [units].
        **kwargs: the other arguments of `tf.layers.dense`: activation, use_bias, initializers and
            regularizers, as in `conv2d`.

    Returns:
        float [batch, units].
    """
    return apply_layer(chosen(dense_layer), "dense", inputs, name, {**kwargs, "units": units})


def max_pooling2d(
    inputs: Any, pool_size: Any, strides: Any, name: str | None = None, **kwargs: Any
) -> Any:
    """Take the maximum of each channel over each window.

    A bias and a relu directly before this layer may be computed after it. That is faster and gives
    the same output. See `cnnlab.layers.kernels.pooling`.

    Args:
        inputs: float [batch, height, width, channels].
        pool_size: height and width of the window in pixels: one number for both, or a pair.
        strides: step from one window to the next in pixels, one number or a pair.
        name: name of the layer.
        **kwargs: the other arguments of `tf.layers.max_pooling2d`, such as padding: valid or same.
            Default: valid. The padding is never the maximum.

    Returns:
        float [batch, new height, new width, channels], with the sizes of `conv2d`.
    """
    kwargs.update(pool_size=pool_size, strides=strides)
    return apply_layer(chosen(max_pooling_layer), "max_pooling2d", inputs, name, kwargs)


def average_pooling2d(
    inputs: Any, pool_size: Any, strides: Any, name: str | None = None, **kwargs: Any
) -> Any:
    """Take the mean of each channel over each window.

    Args:
        inputs: float [batch, height, width, channels].
        pool_size: height and width of the window in pixels: one number for both, or a pair.
        strides: step from one window to the next in pixels, one number or a pair.
        name: name of the layer.
        **kwargs: the other arguments of `tf.layers.average_pooling2d`, such as padding: valid or
            same. Default: valid. The mean does not count the padding.

    Returns:
        float [batch, new height, new width, channels], with the sizes of `conv2d`.
    """
    kwargs.update(pool_size=pool_size, strides=strides)
    return apply_layer(legacy_pooling.AveragePooling2D, "average_pooling2d", inputs, name, kwargs)


def global_average_pooling2d(inputs: Any, name: str | None = None) -> Any:
    """Take the mean of each channel over all pixels.

    Lin et al. 2013, "Network In Network" (arXiv 1312.4400), section 3.2.

    Args:
        inputs: float [batch, height, width, channels].
        name: name of the layer.

    Returns:
        float [batch, channels].
    """
    return apply_function(
        lambda: tf.reduce_mean(inputs, place_axes(inputs)), "global_average_pooling2d", name
    )


def zero_padding2d(inputs: Any, padding: int, name: str | None = None) -> Any:
    """Add rows and columns of zeros on all four sides of each image.

    Args:
        inputs: float [batch, height, width, channels].
        padding: rows and columns to add on each side (>= 0).
        name: name of the layer.

    Returns:
        float [batch, height + 2 * padding, width + 2 * padding, channels].
    """
    paddings = [[0, 0]] * 4
    for axis in place_axes(inputs):
        paddings[axis] = [padding, padding]
    return apply_function(lambda: tf.pad(inputs, paddings), "zero_padding2d", name)


def concatenate(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Join the channels of several tensors.

    Args:
        inputs: tensors float [batch, height, width, channels_i], of the same height and width.
        name: name of the layer.

    Returns:
        float [batch, height, width, sum of channels_i].
    """
    return apply_function(lambda: tf.concat(inputs, channel_axis(inputs[0])), "concatenate", name)


def flatten(inputs: Any, name: str | None = None) -> Any:
    """Reshape each example to one row.

    The order of the features is height, width, channels in both data formats.

    Args:
        inputs: float [batch, ...].
        name: name of the layer.

    Returns:
        float [batch, features].
    """
    return apply_layer(legacy_core.Flatten, "flatten", inputs, name, {})


def activate(inputs: Any, activation: Any, name: str | None = None) -> Any:
    """Apply an activation as a layer, for example after batch normalization.

    Args:
        inputs: float [batch, ...].
        activation: a name of ACTIVATIONS in `activations.py`, or a function from a float tensor to
            one of the same shape. The option `--activation` replaces it.
        name: name of the layer.

    Returns:
        float, same shape as the inputs.

    Raises:
        UsageError: there is no activation of this name.
    """
    function = find_activation(activation) if isinstance(activation, str) else activation
    override = towers.current().defaults.activation
    if override is not None:
        function = find_activation(override)
    return apply_function(lambda: function(inputs), "activation", name)
