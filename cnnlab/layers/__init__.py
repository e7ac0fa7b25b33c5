"""The layers that models are made of.

    from cnnlab import layers

    def model(images, num_classes, *, training):  # images: [b, 32, 32, 3]
        x = layers.conv2d(images, 64, 3, padding="same", activation="relu")  # [b, 32, 32, 64]
        x = layers.max_pooling2d(x, 2, 2)  # [b, 16, 16, 64]
        x = layers.flatten(x)  # [b, 16384]
        x = layers.dropout(x, 0.5, training=training)
        return layers.dense(x, num_classes, name="logits")

Each function adds one layer to the graph and returns the layer's output. Names, arguments and
defaults are those of TensorFlow 1's `tf.layers`, which is also the name of this module in
`cnnlab.tf`. The differences make training reproducible:

- A model is built several times: for training, and for inference. A layer has the same name each
  time, so all copies share its variables.
- The start of a variable depends only on the run's seed and the variable's name.
- Dropout depends only on the run's seed, the step and the layer's name.
- The penalty of a regularizer is part of the training network, so its gradient reaches the weights.
- `training` must be given. It is a Python bool.
- The output of each layer is recorded under the layer's name, for summaries.
- Activations and initializers may be names (see `activations.py` and `initializers.py`).
- The layout of images is that of `arrange`, unless `data_format` is given.

Options of a run can replace a model's own settings: `--activation` those of all layers that have an
activation, `--kernel_initializer` those of all kernels. `--l1` and `--l2` apply to all kernels that
have no regularizer. A kernel is a trainable variable of two or more dimensions, also one that the
model makes by `tf.get_variable` or `tf.Variable`.

Images are [batch, height, width, channels]. After `arrange` with channels_first they are [batch,
channels, height, width].

A model may also use TensorFlow's own operations. One that draws random numbers needs a key of the
current step as the seed of a stateless random op. Keys exist in training only:

    if training:
        x += tf.random.stateless_normal(tf.shape(x), seed=cnnlab.random_key("noise"))
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from cnnlab.base.tf1 import legacy_core, tf
from cnnlab.layers import tower as towers
from cnnlab.layers.activations import find_activation
from cnnlab.layers.building import apply_function, apply_layer, chosen
from cnnlab.layers.convolutions import (
    conv1d,
    conv2d,
    conv2d_transpose,
    conv3d,
    conv3d_transpose,
)
from cnnlab.layers.data_format import arrange, channel_axis, place_axes
from cnnlab.layers.dropout import dropout, spatial_dropout
from cnnlab.layers.kernels.dense import dense_layer
from cnnlab.layers.normalization import (
    batch_normalization,
    group_normalization,
    local_response_normalization,
)
from cnnlab.layers.pools import (
    average_pooling1d,
    average_pooling2d,
    average_pooling3d,
    global_average_pooling2d,
    max_pooling1d,
    max_pooling2d,
    max_pooling3d,
)
from cnnlab.layers.regularizers import l1_l2
from cnnlab.layers.separable import depthwise_conv2d, separable_conv1d, separable_conv2d

__all__ = [
    "activate",
    "arrange",
    "average_pooling1d",
    "average_pooling2d",
    "average_pooling3d",
    "batch_normalization",
    "concatenate",
    "conv1d",
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "conv3d_transpose",
    "dense",
    "depthwise_conv2d",
    "dropout",
    "flatten",
    "global_average_pooling2d",
    "group_normalization",
    "l1_l2",
    "local_response_normalization",
    "max_pooling1d",
    "max_pooling2d",
    "max_pooling3d",
    "separable_conv1d",
    "separable_conv2d",
    "spatial_dropout",
    "zero_padding2d",
]

# TensorFlow's own `tf.layers` raises under Keras 3. A model of TensorFlow 1 finds these functions.
tf.layers = sys.modules[__name__]


def dense(
    inputs: Any,
    units: int,
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
    """Add a dense layer: activation(inputs @ kernel + bias).

    Args:
        inputs: float [batch, features].
        units: number of outputs (>= 1).
        name: scope of the variables `kernel` [features, units] and `bias` [units].
        activation and the other arguments: see `conv2d`.

    Returns:
        float [batch, units].
    """
    return apply_layer(chosen(dense_layer), "dense", locals())


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


def flatten(inputs: Any, name: str | None = None, data_format: str | None = None) -> Any:
    """Reshape each example to one row.

    The order of the features is height, width, channels in both data formats.

    Args:
        inputs: float [batch, ...].
        name: name of the layer.
        data_format: channels_last or channels_first. Default: as `arrange` says, else
            channels_last.

    Returns:
        float [batch, features].
    """
    return apply_layer(legacy_core.Flatten, "flatten", locals())


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
