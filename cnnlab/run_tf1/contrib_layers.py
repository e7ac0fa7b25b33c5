"""The layers of `tf.contrib.layers` and slim, with the names and defaults that they had.

Each makes its variables as version 1.15 did: in a variable scope ("Conv", "fully_connected",
"BatchNorm"), named weights, biases, beta, gamma, moving_mean and moving_variance. So checkpoints of
old runs fit. Their arguments are those of tf.contrib.layers 1.15.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.run_tf1.contrib_weights import xavier_initializer
from cnnlab.run_tf1.scopes import add_arg_scope

Tensor = Any
XAVIER: Any = xavier_initializer()
ZEROS: Any = tf.zeros_initializer()
RELU: Any = tf.nn.relu


def model_variable(
    name: str,
    shape: Sequence[int],
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    collections: Any = None,
    **named: Any,
) -> Any:
    """Return a variable of the scope, which the collection MODEL_VARIABLES gets too.

    collections: a list, or one for each name of a variable.
    """
    if isinstance(collections, dict):
        collections = collections.get(name)
    variable = tf.get_variable(
        name, shape, dtype, initializer, regularizer=regularizer, trainable=trainable
    )
    for collection in dict.fromkeys((tf.GraphKeys.MODEL_VARIABLES, *(collections or ()))):
        if all(each is not variable for each in tf.get_collection_ref(collection)):
            tf.add_to_collection(collection, variable)
    return variable


def collected(outputs: Tensor, collections: Any, scope: Any) -> Tensor:
    """Add outputs to collections, with the name of their layer as alias, and return them."""
    if collections:
        outputs.alias = scope.original_name_scope.rstrip("/")
        for collection in [collections] if isinstance(collections, str) else collections:
            tf.add_to_collection(collection, outputs)
    return outputs


def pair(value: Any) -> list[int]:
    """Return an integer, or a list of two, as [height, width]."""
    return [int(each) for each in value] if isinstance(value, list | tuple) else [int(value)] * 2


def channels_of(inputs: Tensor, data_format: str) -> int:
    """Return the number of channels of inputs [batch, ...] in a data format such as NHWC.

    Raises:
        ValueError: it is not known when the graph is built.
    """
    size = inputs.shape.as_list()[1 if data_format.startswith("NC") else -1]
    if size is None:
        raise ValueError("`C` dimension must be known but is None")
    return int(size)


def four(values: Sequence[int], data_format: str) -> list[int]:
    """Return [height, width] as the four numbers of a window or a stride of `tf.nn`."""
    return [1, 1, *values] if data_format.startswith("NC") else [1, *values, 1]


def variable_maker(inputs: Tensor, trainable: bool, collections: Any) -> Callable[..., Any]:
    """Return the function that makes the variables of a layer."""

    def variable(name: str, shape: list[int], initializer: Any, regularizer: Any) -> Any:
        kind = inputs.dtype.base_dtype
        return model_variable(name, shape, kind, initializer, regularizer, trainable, collections)

    return variable


def bound(function: Any, arguments: Any) -> Any:
    """Return a function with keyword arguments bound; None stays None."""
    return None if function is None else functools.partial(function, **(arguments or {}))


def finished(
    outputs: Tensor,
    normalize: Any,
    biases: Callable[[], Any] | None,
    activation_fn: Any,
    data_format: str,
) -> Tensor:
    """Add the normalization or else the biases, then the activation."""
    if normalize is not None:
        outputs = normalize(outputs)
    elif biases is not None:
        form = "NCHW" if data_format.startswith("NC") else "NHWC"
        outputs = tf.nn.bias_add(outputs, biases(), form)
    return outputs if activation_fn is None else activation_fn(outputs)


@add_arg_scope
def convolution2d(
    inputs: Tensor,
    num_outputs: int,
    kernel_size: Any,
    stride: Any = 1,
    padding: str = "SAME",
    data_format: str | None = None,
    rate: Any = 1,
    activation_fn: Any = RELU,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = XAVIER,
    weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Tensor:
    """Add a convolution over the height and width of images [batch, height, width, channels]."""
    form = data_format or "NHWC"
    with tf.variable_scope(scope, "Conv", [inputs], reuse=reuse) as layer:
        inputs = tf.convert_to_tensor(inputs)

        variable = variable_maker(inputs, trainable, variables_collections)
        shape = [*pair(kernel_size), channels_of(inputs, form), num_outputs]
        weights = variable("weights", shape, weights_initializer, weights_regularizer)
        outputs = tf.nn.conv2d(
            inputs,
            weights,
            four(pair(stride), form),
            padding,
            data_format=form,
            dilations=four(pair(rate), form),
        )

        def biases() -> Any:
            return variable("biases", [num_outputs], biases_initializer, biases_regularizer)

        add_biases = None if biases_initializer is None else biases
        normalize = bound(normalizer_fn, normalizer_params)
        outputs = finished(outputs, normalize, add_biases, activation_fn, form)
        return collected(outputs, outputs_collections, layer)


@add_arg_scope
def convolution2d_transpose(
    inputs: Tensor,
    num_outputs: int,
    kernel_size: Any,
    stride: Any = 1,
    padding: str = "SAME",
    data_format: str = "NHWC",
    activation_fn: Any = RELU,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = XAVIER,
    weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Tensor:
    """Add a transposed convolution of images [batch, height, width, channels]."""
    if data_format != "NHWC":
        raise ValueError("data_format has to be NHWC here")
    with tf.variable_scope(scope, "Conv2d_transpose", [inputs], reuse=reuse) as layer:
        inputs = tf.convert_to_tensor(inputs)

        variable = variable_maker(inputs, trainable, variables_collections)
        kernel, strides = pair(kernel_size), pair(stride)
        shape = [*kernel, num_outputs, channels_of(inputs, "NHWC")]
        weights = variable("weights", shape, weights_initializer, weights_regularizer)
        sizes, known = tf.shape(inputs), inputs.shape.as_list()
        lengths, statics = [], []
        for axis in (0, 1):
            extra = max(kernel[axis] - strides[axis], 0) if padding.upper() == "VALID" else 0
            lengths.append(sizes[axis + 1] * strides[axis] + extra)
            size = known[axis + 1]
            statics.append(None if size is None else size * strides[axis] + extra)
        outputs = tf.nn.conv2d_transpose(
            inputs, weights, tf.stack([sizes[0], *lengths, num_outputs]), [1, *strides, 1], padding
        )
        outputs.set_shape([known[0], *statics, num_outputs])

        def biases() -> Any:
            return variable("biases", [num_outputs], biases_initializer, biases_regularizer)

        add_biases = None if biases_initializer is None else biases
        normalize = bound(normalizer_fn, normalizer_params)
        outputs = finished(outputs, normalize, add_biases, activation_fn, "NHWC")
        return collected(outputs, outputs_collections, layer)


@add_arg_scope
def fully_connected(
    inputs: Tensor,
    num_outputs: int,
    activation_fn: Any = RELU,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
    weights_initializer: Any = XAVIER,
    weights_regularizer: Any = None,
    biases_initializer: Any = ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Tensor:
    """Add a dense layer over the last axis of the inputs."""
    with tf.variable_scope(scope, "fully_connected", [inputs], reuse=reuse) as layer:
        inputs = tf.convert_to_tensor(inputs)

        variable = variable_maker(inputs, trainable, variables_collections)
        shape = [channels_of(inputs, "NHWC"), int(num_outputs)]
        weights = variable("weights", shape, weights_initializer, weights_regularizer)
        if inputs.shape.ndims > 2:
            outputs = tf.tensordot(inputs, weights, [[inputs.shape.ndims - 1], [0]])
            outputs.set_shape([*inputs.shape.as_list()[:-1], num_outputs])
        else:
            outputs = tf.matmul(inputs, weights)

        def biases() -> Any:
            return variable("biases", [num_outputs], biases_initializer, biases_regularizer)

        add_biases = None if biases_initializer is None else biases
        normalize = bound(normalizer_fn, normalizer_params)
        outputs = finished(outputs, normalize, add_biases, activation_fn, "NHWC")
        return collected(outputs, outputs_collections, layer)


def _pool(operation: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    def pool(
        inputs: Tensor,
        kernel_size: Any,
        stride: Any = 2,
        padding: str = "VALID",
        data_format: str = "NHWC",
        outputs_collections: Any = None,
        scope: Any = None,
    ) -> Tensor:
        """Pool the height and width of images."""
        with tf.variable_scope(scope, name, [inputs]) as layer:
            sizes = four(pair(kernel_size), data_format)
            strides = four(pair(stride), data_format)
            outputs = operation(inputs, sizes, strides, padding, data_format=data_format)
            return collected(outputs, outputs_collections, layer)

    pool.__qualname__ = name
    return add_arg_scope(pool)


max_pool2d = _pool(tf.nn.max_pool, "MaxPool2D")
avg_pool2d = _pool(tf.nn.avg_pool, "AvgPool2D")
