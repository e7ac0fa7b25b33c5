"""The other layers of `tf.contrib.layers` and slim: normalization, dropout, shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.run_tf1.contrib_layers import collected, model_variable
from cnnlab.run_tf1.scopes import add_arg_scope

Tensor = Any


@add_arg_scope
def batch_norm(
    inputs: Tensor,
    decay: float = 0.999,
    center: bool = True,
    scale: bool = False,
    epsilon: float = 0.001,
    activation_fn: Any = None,
    param_initializers: Any = None,
    param_regularizers: Any = None,
    updates_collections: Any = tf.GraphKeys.UPDATE_OPS,
    is_training: Any = True,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    batch_weights: Any = None,
    fused: Any = None,
    data_format: str = "NHWC",
    zero_debias_moving_mean: bool = False,
    scope: Any = None,
    renorm: bool = False,
    **_: Any,
) -> Tensor:
    """Normalize a batch, of images or vectors; is_training may be a tensor.

    With updates_collections=None the moving averages are updated before the outputs are read.
    """
    if batch_weights is not None or renorm or zero_debias_moving_mean:
        raise ValueError("batch_weights, renorm and zero_debias_moving_mean are not available here")
    with tf.variable_scope(scope, "BatchNorm", [inputs], reuse=reuse) as layer:
        inputs = tf.convert_to_tensor(inputs)
        kind = inputs.dtype.base_dtype
        is_first = data_format.startswith("NC") and inputs.shape.ndims > 2
        axis = 1 if is_first else inputs.shape.ndims - 1
        shape = [inputs.shape.as_list()[axis]]
        initial = {
            "beta": tf.zeros_initializer(),
            "gamma": tf.ones_initializer(),
            "moving_mean": tf.zeros_initializer(),
            "moving_variance": tf.ones_initializer(),
            **(param_initializers or {}),
        }

        def variable(name: str, is_trained: bool = False) -> Any:
            penalty = (param_regularizers or {}).get(name)
            return model_variable(
                name, shape, kind, initial[name], penalty, is_trained, variables_collections
            )

        beta = variable("beta", trainable) if center else tf.zeros(shape, kind)
        gamma = variable("gamma", trainable) if scale else tf.ones(shape, kind)
        moving = variable("moving_mean"), variable("moving_variance")

        def of_batch() -> tuple[Tensor, Tensor, Tensor]:
            if inputs.shape.ndims == 4:
                return tuple(
                    tf.nn.fused_batch_norm(
                        inputs, gamma, beta, epsilon=epsilon, data_format=data_format
                    )
                )
            axes = [each for each in range(inputs.shape.ndims) if each != axis]
            mean, variance = tf.nn.moments(inputs, axes)
            outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, epsilon)
            return outputs, mean, variance

        def of_moving() -> tuple[Tensor, Tensor, Tensor]:
            mean, variance = (tf.identity(each) for each in moving)
            if inputs.shape.ndims == 4:
                outputs, _mean, _variance = tf.nn.fused_batch_norm(
                    inputs, gamma, beta, mean, variance, epsilon, data_format, is_training=False
                )
            else:
                outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, epsilon)
            return outputs, mean, variance

        fixed = _constant(is_training)
        if fixed is not False:
            outputs, *figures = (
                of_batch() if fixed else tf.cond(tf.cast(is_training, tf.bool), of_batch, of_moving)
            )
            # Where the moving figures themselves come back, these updates change nothing.
            updates = [
                tf.assign_sub(
                    each, (1 - decay) * (each - tf.cast(figure, kind)), name="AssignMovingAvg"
                )
                for each, figure in zip(moving, figures, strict=True)
            ]
            if updates_collections is None:
                with tf.control_dependencies(updates):
                    outputs = tf.identity(outputs)
            else:
                names = updates_collections
                for name in [names] if isinstance(names, str) else names:
                    for update in updates:
                        tf.add_to_collection(name, update)
        else:
            outputs = of_moving()[0]
        outputs.set_shape(inputs.shape)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return collected(outputs, outputs_collections, layer)


def _constant(is_training: Any) -> bool | None:
    """Return whether training is on if that is known now; None: it is a tensor."""
    if isinstance(is_training, tf.Tensor | tf.Variable):
        value = tf.get_static_value(is_training) if isinstance(is_training, tf.Tensor) else None
        return None if value is None else bool(value)
    return bool(is_training)


@add_arg_scope
def dropout(
    inputs: Tensor,
    keep_prob: Any = 0.5,
    noise_shape: Any = None,
    is_training: Any = True,
    outputs_collections: Any = None,
    scope: Any = None,
    seed: Any = None,
) -> Tensor:
    """Keep elements with probability keep_prob while training; is_training may be a tensor."""
    with tf.variable_scope(scope, "Dropout", [inputs]) as layer:
        inputs = tf.convert_to_tensor(inputs)

        def drop() -> Tensor:
            return tf.nn.dropout(inputs, keep_prob, noise_shape, seed=seed)

        fixed = _constant(is_training)
        if fixed is None:
            outputs = tf.cond(tf.cast(is_training, tf.bool), drop, lambda: tf.identity(inputs))
        else:
            outputs = drop() if fixed else tf.identity(inputs)
        return collected(outputs, outputs_collections, layer)


@add_arg_scope
def flatten(inputs: Tensor, outputs_collections: Any = None, scope: Any = None) -> Tensor:
    """Return the inputs as [batch, size]."""
    with tf.variable_scope(scope, "Flatten", [inputs]) as layer:
        inputs = tf.convert_to_tensor(inputs)
        sizes = inputs.shape.as_list()[1:]
        size = math.prod(sizes) if None not in sizes else -1
        batch = inputs.shape.as_list()[0]
        first = -1 if batch is None and size != -1 else tf.shape(inputs)[0]
        outputs = tf.reshape(inputs, [first, size] if batch is None else [batch, size])
        return collected(outputs, outputs_collections, layer)


@add_arg_scope
def one_hot_encoding(
    labels: Tensor,
    num_classes: int,
    on_value: float = 1.0,
    off_value: float = 0.0,
    outputs_collections: Any = None,
    scope: Any = None,
) -> Tensor:
    """Return labels as float32 [batch, num_classes]."""
    with tf.variable_scope(scope, "OneHotEncoding", [labels]) as layer:
        labels = tf.cast(labels, tf.int64)
        return collected(
            tf.one_hot(labels, num_classes, on_value, off_value), outputs_collections, layer
        )


@add_arg_scope
def layer_norm(
    inputs: Tensor,
    center: bool = True,
    scale: bool = True,
    activation_fn: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    begin_norm_axis: int = 1,
    begin_params_axis: int = -1,
    scope: Any = None,
) -> Tensor:
    """Normalize each example over its axes from begin_norm_axis on."""
    with tf.variable_scope(scope, "LayerNorm", [inputs], reuse=reuse) as layer:
        inputs = tf.convert_to_tensor(inputs)
        sizes, kind = inputs.shape.as_list(), inputs.dtype.base_dtype
        shape = sizes[begin_params_axis:]

        def variable(name: str, initializer: Any) -> Any:
            return model_variable(
                name, shape, kind, initializer, None, trainable, variables_collections
            )

        beta = variable("beta", tf.zeros_initializer()) if center else None
        gamma = variable("gamma", tf.ones_initializer()) if scale else None
        axes = list(range(begin_norm_axis % len(sizes), len(sizes)))
        mean, variance = tf.nn.moments(inputs, axes, keepdims=True)
        outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, 1e-12)
        outputs.set_shape(inputs.shape)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return collected(outputs, outputs_collections, layer)


def stack(inputs: Tensor, layer: Callable[..., Tensor], stack_args: Any, **kwargs: Any) -> Tensor:
    """Add layers one after the other, one for each element of stack_args."""
    scope = kwargs.pop("scope", None)
    with tf.variable_scope(scope, "Stack", [inputs]):
        scope = scope or layer.__name__
        for number, given in enumerate(stack_args, start=1):
            args = given if isinstance(given, list | tuple) else [given]
            inputs = layer(inputs, *args, scope=f"{scope}_{number}", **kwargs)
    return inputs


def repeat(inputs: Tensor, repetitions: int, layer: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Add a layer several times, one after the other."""
    scope = kwargs.pop("scope", None)
    with tf.variable_scope(scope, "Repeat", [inputs]):
        scope = scope or getattr(layer, "__name__", "repeat")
        for number in range(1, repetitions + 1):
            inputs = layer(inputs, *args, scope=f"{scope}_{number}", **kwargs)
    return inputs
