"""The layers of `tf.layers`, made safe for exact training.

Names and arguments are those of TensorFlow 1's `tf.layers`. The differences: a layer's name is
stable in every tower (so all towers share its variables), weights start from the run's seed,
dropout is a pure function of the step, a regularizer is applied in the tower that trains, and
every output is recorded for summaries. Initializers and activations may be given by name (see
`cnnlab.training.initializers` and `activations`). Images are [batch, height, width, channels]
unless `data_format` says otherwise.
"""

from __future__ import annotations

from typing import Any

from cnnlab import tower as towers
from cnnlab.models.building import apply_layer
from cnnlab.models.dropout import dropout, spatial_dropout
from cnnlab.models.normalization import (
    batch_normalization,
    group_normalization,
    local_response_normalization,
)
from cnnlab.tf1 import legacy_convolutional, legacy_core, legacy_pooling, tf
from cnnlab.training.activations import find_activation
from cnnlab.training.regularizers import l1_l2

__all__ = [
    "activate",
    "average_pooling2d",
    "batch_normalization",
    "conv2d",
    "dense",
    "dropout",
    "flatten",
    "group_normalization",
    "l1_l2",
    "local_response_normalization",
    "max_pooling2d",
    "spatial_dropout",
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
    return apply_layer(legacy_convolutional.Conv2D, "conv2d", inputs, name, kwargs)


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
    return apply_layer(legacy_core.Dense, "dense", inputs, name, {**kwargs, "units": units})


def max_pooling2d(
    inputs: Any, pool_size: Any, strides: Any, name: str | None = None, **kwargs: Any
) -> Any:
    """Take each window's maximum; float [batch, height, width, channels] to a smaller such."""
    kwargs.update(pool_size=pool_size, strides=strides)
    return apply_layer(legacy_pooling.MaxPooling2D, "max_pooling2d", inputs, name, kwargs)


def average_pooling2d(
    inputs: Any, pool_size: Any, strides: Any, name: str | None = None, **kwargs: Any
) -> Any:
    """Take each window's mean; float [batch, height, width, channels] to a smaller such."""
    kwargs.update(pool_size=pool_size, strides=strides)
    return apply_layer(legacy_pooling.AveragePooling2D, "average_pooling2d", inputs, name, kwargs)


def flatten(inputs: Any, name: str | None = None) -> Any:
    """Lay out each example in one row; [batch, ...] to [batch, features]."""
    return apply_layer(legacy_core.Flatten, "flatten", inputs, name, {})


def activate(inputs: Any, activation: Any, name: str | None = None) -> Any:
    """Apply an activation by itself, as where batch normalization stands before it.

    Args:
        inputs: float, any shape with the batch first.
        activation: a name of `cnnlab.training.activations`, or a function; the option `activation`
            takes its place.
        name: names the output in summaries.
    """
    tower = towers.current()
    name = tower.unique_name(name or "activation")
    function = find_activation(activation) if isinstance(activation, str) else activation
    if tower.defaults.activation is not None:
        function = find_activation(tower.defaults.activation)
    with tf.name_scope(name):
        outputs = function(inputs)
    tower.activations[name] = outputs
    return outputs
