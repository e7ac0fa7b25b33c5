"""The separable convolution of `tf.contrib.layers` and slim."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.run_tf1.contrib_layers import (
    RELU,
    XAVIER,
    ZEROS,
    bound,
    channels_of,
    collected,
    finished,
    four,
    pair,
    variable_maker,
)
from cnnlab.run_tf1.scopes import add_arg_scope

Tensor = Any


@add_arg_scope
def separable_convolution2d(
    inputs: Tensor,
    num_outputs: int | None,
    kernel_size: Any,
    depth_multiplier: int = 1,
    stride: Any = 1,
    padding: str = "SAME",
    data_format: str = "NHWC",
    rate: Any = 1,
    activation_fn: Any = RELU,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = XAVIER,
    pointwise_initializer: Any = None,
    weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Tensor:
    """Add a convolution of each channel, then, unless num_outputs is None, one of 1x1."""
    with tf.variable_scope(scope, "SeparableConv2d", [inputs], reuse=reuse) as layer:
        inputs = tf.convert_to_tensor(inputs)

        variable = variable_maker(inputs, trainable, variables_collections)
        channels = channels_of(inputs, data_format)
        shape = [*pair(kernel_size), channels, depth_multiplier]
        depthwise = variable("depthwise_weights", shape, weights_initializer, weights_regularizer)
        outputs = tf.nn.depthwise_conv2d(
            inputs,
            depthwise,
            four(pair(stride), data_format),
            padding,
            pair(rate),
            data_format=data_format,
        )
        width = channels * depth_multiplier
        if num_outputs is not None:
            pointwise = variable(
                "pointwise_weights",
                [1, 1, width, num_outputs],
                pointwise_initializer or weights_initializer,
                weights_regularizer,
            )
            outputs = tf.nn.conv2d(outputs, pointwise, [1] * 4, "VALID", data_format=data_format)
            width = num_outputs

        def biases() -> Any:
            return variable("biases", [width], biases_initializer, biases_regularizer)

        add_biases = None if biases_initializer is None else biases
        normalize = bound(normalizer_fn, normalizer_params)
        outputs = finished(outputs, normalize, add_biases, activation_fn, data_format)
        return collected(outputs, outputs_collections, layer)
