"""Layers that normalize: by batch, by group of channels, by neighbouring channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.layers import tower as towers
from cnnlab.layers.building import apply_function, apply_layer
from cnnlab.layers.data_format import channel_axis, with_channels_last
from cnnlab.layers.kernels.batch_norm import normalization_layer


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
    kwargs.setdefault("axis", channel_axis(inputs))
    return apply_layer(
        normalization_layer,
        "batch_normalization",
        inputs,
        name,
        kwargs,
        training=training,
    )


def group_normalization(
    inputs: Any, groups: int = 32, *, epsilon: float = 1e-5, name: str | None = None
) -> Any:
    """Normalize each image's channels in groups, by the mean and variance over a group and all
    places (Wu and He 2018, arXiv 1803.08494); the same in training and evaluation.

    Args:
        inputs: float [batch, ..., channels].
        groups: divides the number of channels; 1 normalizes over all of them.
        epsilon: added to the variance.
        name: scope of `gamma` and `beta`, each [channels].

    Raises:
        CnnlabError: groups do not divide the channels.
    """
    tower = towers.current()
    name = tower.unique_name(name or "group_normalization")
    channels = int(inputs.shape[channel_axis(inputs)])
    if channels % groups:
        raise CnnlabError(f"{name}: {groups} groups do not divide {channels} channels")
    with tf.variable_scope(name, use_resource=True, reuse=tf.AUTO_REUSE):
        gamma = tf.get_variable("gamma", [channels], initializer=tf.ones_initializer())
        beta = tf.get_variable("beta", [channels], initializer=tf.zeros_initializer())

        def normalize(x: Any) -> Any:
            shape = tf.shape(x)
            grouped = tf.reshape(
                x, tf.concat([shape[:1], [-1], [groups, channels // groups]], axis=0)
            )  # [b, places, groups, channels of a group]
            mean, variance = tf.nn.moments(grouped, axes=[1, 3], keepdims=True)
            normalized = (grouped - mean) * tf.rsqrt(variance + epsilon)
            return tf.ensure_shape(tf.reshape(normalized, shape), x.shape) * gamma + beta

        outputs = with_channels_last(normalize, inputs)
    tower.activations[name] = outputs
    return outputs


def local_response_normalization(
    inputs: Any,
    *,
    depth_radius: int = 4,
    bias: float = 1.0,
    alpha: float = 0.001 / 9,
    beta: float = 0.75,
    name: str | None = None,
) -> Any:
    """x_c / (bias + alpha sum of x_j^2 over j from c - depth_radius to c + depth_radius)^beta
    (Krizhevsky et al. 2012, section 3.3).

    The sum is a product with a banded matrix of ones and the power 3/4 two square roots: forward
    and back, TensorFlow's own op of this name takes more than twice as long on a CPU.

    Args:
        inputs: float32 [batch, height, width, channels].
        depth_radius: channels to either side.
        bias, alpha, beta: as in the formula; the defaults are cuda-convnet's for CIFAR-10.
        name: names the output in summaries.
    """

    def normalize(x: Any) -> Any:
        # As a product with a band of ones, several times as fast as TensorFlow's op on a CPU.
        channel = np.arange(x.shape[-1])
        is_near = np.abs(channel[:, None] - channel) <= depth_radius  # [channels, channels]
        sums = tf.tensordot(tf.square(x), tf.constant(is_near, tf.float32), 1)
        sums = bias + alpha * sums
        if beta == 0.75:
            root = tf.rsqrt(sums)
            factors = root * tf.sqrt(root)
        else:
            factors = tf.pow(sums, -beta)
        return tf.ensure_shape(x * factors, x.shape)

    return apply_function(
        lambda: with_channels_last(normalize, inputs), "local_response_normalization", name
    )
