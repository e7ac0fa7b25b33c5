"""The layers of `tf.layers`, made safe for exact training.

Names and arguments are those of TensorFlow 1's `tf.layers`. The differences: a layer's name is
stable in every tower (so all towers share its variables), weights start from the run's seed,
dropout is a pure function of the step, a regularizer is applied in the tower that trains, and
every output is recorded for summaries. Initializers and activations may be given by name (see
`cnnlab.layers.initializers` and `activations`). Images are [batch, height, width, channels]
unless `arrange` or `data_format` says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.base.tf1 import legacy_core, legacy_pooling, tf
from cnnlab.layers import tower as towers
from cnnlab.layers.activations import find_activation
from cnnlab.layers.building import apply_function, apply_layer
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
    """Convolve, add a bias, apply `activation`.

    Args:
        inputs: float [batch, height, width, channels].
        filters: number of output channels.
        kernel_size: side of the window, or (height, width).
        name: scope of the variables `kernel` [height, width, in, out] and `bias` [out].
        **kwargs: as `tf.layers.conv2d`: strides, padding ('valid' or 'same'), activation,
            kernel_initializer, kernel_regularizer and so on.

    Returns:
        float [batch, new_height, new_width, filters].
    """
    kwargs.update(filters=filters, kernel_size=kernel_size)
    return apply_layer(convolution_layer, "conv2d", inputs, name, kwargs)


def dense(inputs: Any, units: int, name: str | None = None, **kwargs: Any) -> Any:
    """Multiply by a matrix, add a bias, apply `activation`.

    Args:
        inputs: float [batch, features].
        units: number of outputs.
        name: scope of the variables `kernel` [features, units] and `bias` [units].
        **kwargs: as `tf.layers.dense`.

    Returns:
        float [batch, units].
    """
    return apply_layer(dense_layer, "dense", inputs, name, {**kwargs, "units": units})


def max_pooling2d(
    inputs: Any, pool_size: Any, strides: Any, name: str | None = None, **kwargs: Any
) -> Any:
    """Take each window's maximum; float [batch, height, width, channels] to a smaller such.

    What commutes with it is computed after it: see `cnnlab.layers.kernels.pooling`.
    """
    kwargs.update(pool_size=pool_size, strides=strides)
    return apply_layer(max_pooling_layer, "max_pooling2d", inputs, name, kwargs)


def average_pooling2d(
    inputs: Any, pool_size: Any, strides: Any, name: str | None = None, **kwargs: Any
) -> Any:
    """Take each window's mean; float [batch, height, width, channels] to a smaller such."""
    kwargs.update(pool_size=pool_size, strides=strides)
    return apply_layer(legacy_pooling.AveragePooling2D, "average_pooling2d", inputs, name, kwargs)


def global_average_pooling2d(inputs: Any, name: str | None = None) -> Any:
    """Take each channel's mean over all places; float [batch, height, width, channels] to [batch,
    channels]."""
    return apply_function(
        lambda: tf.reduce_mean(inputs, place_axes(inputs)), "global_average_pooling2d", name
    )


def zero_padding2d(inputs: Any, padding: int, name: str | None = None) -> Any:
    """Put `padding` rows and columns of zeros around each image."""
    paddings = [[0, 0]] * 4
    for axis in place_axes(inputs):
        paddings[axis] = [padding, padding]
    return apply_function(lambda: tf.pad(inputs, paddings), "zero_padding2d", name)


def concatenate(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Lay images of the same height and width over each other; their channels add up."""
    return apply_function(lambda: tf.concat(inputs, channel_axis(inputs[0])), "concatenate", name)


def flatten(inputs: Any, name: str | None = None) -> Any:
    """Lay out each example in one row; [batch, ...] to [batch, features]."""
    return apply_layer(legacy_core.Flatten, "flatten", inputs, name, {})


def activate(inputs: Any, activation: Any, name: str | None = None) -> Any:
    """Apply an activation by itself, as where batch normalization stands before it.

    Args:
        inputs: float, any shape with the batch first.
        activation: a name of `cnnlab.layers.activations`, or a function; the option `activation`
            takes its place.
        name: names the output in summaries.
    """
    function = find_activation(activation) if isinstance(activation, str) else activation
    override = towers.current().defaults.activation
    if override is not None:
        function = find_activation(override)
    return apply_function(lambda: function(inputs), "activation", name)
