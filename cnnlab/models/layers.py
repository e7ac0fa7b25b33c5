"""The layers of `tf.layers`, made safe for exact training.

Names and arguments are those of TensorFlow 1's `tf.layers`. The differences: a layer's name is
stable in every tower (so all towers share its variables), weights start from the run's seed,
dropout is a pure function of the step, a regularizer is applied in the tower that trains, and
every output is recorded for summaries. Images are [batch, height, width, channels] unless
`data_format` says otherwise.
"""

from __future__ import annotations

from typing import Any

from cnnlab import tower as towers
from cnnlab.tf1 import legacy_convolutional, legacy_core, legacy_normalization, legacy_pooling, tf


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
    return _apply(legacy_convolutional.Conv2D, "conv2d", inputs, name, kwargs)


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
    return _apply(legacy_core.Dense, "dense", inputs, name, {**kwargs, "units": units})


def max_pooling2d(
    inputs: Any, pool_size: Any, strides: Any, name: str | None = None, **kwargs: Any
) -> Any:
    """Take each window's maximum; float [batch, height, width, channels] to a smaller such."""
    kwargs.update(pool_size=pool_size, strides=strides)
    return _apply(legacy_pooling.MaxPooling2D, "max_pooling2d", inputs, name, kwargs)


def average_pooling2d(
    inputs: Any, pool_size: Any, strides: Any, name: str | None = None, **kwargs: Any
) -> Any:
    """Take each window's mean; float [batch, height, width, channels] to a smaller such."""
    kwargs.update(pool_size=pool_size, strides=strides)
    return _apply(legacy_pooling.AveragePooling2D, "average_pooling2d", inputs, name, kwargs)


def flatten(inputs: Any, name: str | None = None) -> Any:
    """Lay out each example in one row; [batch, ...] to [batch, features]."""
    return _apply(legacy_core.Flatten, "flatten", inputs, name, {})


def batch_normalization(
    inputs: Any,
    *,
    training: bool,
    momentum: float = 0.9,
    epsilon: float = 1e-3,
    name: str | None = None,
    **kwargs: Any,
) -> Any:
    """Normalize each channel by the batch's mean and variance (Ioffe and Szegedy 2015, arXiv
    1502.03167).

    In a training tower the moving averages are updated by ops of the UPDATE_OPS collection, which
    the training step runs; in an inference tower they are used.

    Args:
        inputs: float [batch, ..., channels].
        training: a Python bool.
        momentum: weight of the old moving average in the new, in [0, 1).
        epsilon: added to the variance.
        name: scope of `gamma`, `beta`, `moving_mean` and `moving_variance`, each [channels].
        **kwargs: as `tf.layers.batch_normalization`.
    """
    kwargs.update(momentum=momentum, epsilon=epsilon)
    return _apply(
        legacy_normalization.BatchNormalization,
        "batch_normalization",
        inputs,
        name,
        kwargs,
        training=training,
    )


def dropout(inputs: Any, rate: float = 0.5, *, training: bool, name: str | None = None) -> Any:
    """Zero a share `rate` of the elements and scale the rest by 1 / (1 - rate), when training.

    Srivastava et al. 2014 (JMLR 15). The mask is a pure function of (seed, step, layer name):
    unlike `tf.layers.dropout` nothing is remembered between steps.

    Args:
        inputs: float, any shape with the batch first.
        rate: share that is dropped, in [0, 1).
        training: a Python bool; nothing happens where it is False.
        name: names the layer; another name draws another mask.
    """
    tower = towers.current()
    name = tower.unique_name(name or "dropout")
    if not training or rate == 0:
        return inputs
    with tf.name_scope(name):
        outputs = tf.nn.experimental.stateless_dropout(inputs, rate, seed=tower.random_key(name))
    tower.activations[name] = outputs
    return outputs


def _apply(
    layer_class: Any, kind: str, inputs: Any, name: str | None, kwargs: Any, **call: Any
) -> Any:
    """Make the layer under a stable name, call it, and record its output and penalties."""
    tower = towers.current()
    name = tower.unique_name(name or kind)
    regularizers = {
        weight: kwargs.pop(f"{weight}_regularizer", None)
        for weight in ("kernel", "bias", "gamma", "beta")
    }
    layer = layer_class(name=name, _scope=name, _reuse=tf.AUTO_REUSE, **kwargs)
    outputs = layer(inputs, **call)
    for weight, regularizer in regularizers.items():
        # The legacy layer would build the penalty once, where the variable is first made: outside
        # the tower that trains, whose gradient it would then not enter.
        if regularizer is not None:
            penalty = regularizer(getattr(layer, weight))
            tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, penalty)
            tower.penalties.append(penalty)
    tower.activations[name] = outputs
    return outputs
