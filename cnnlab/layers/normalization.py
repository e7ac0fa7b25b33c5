"""Normalization layers: batch norm, group norm and local response normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.layers import tower as towers
from cnnlab.layers.building import apply_function, apply_layer, check_training, chosen
from cnnlab.layers.data_format import channel_axis, with_channels_last
from cnnlab.layers.kernels.batch_norm import normalization_layer


def batch_normalization(
    inputs: Any,
    axis: Any = None,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Any = "zeros",
    gamma_initializer: Any = "ones",
    moving_mean_initializer: Any = "zeros",
    moving_variance_initializer: Any = "ones",
    beta_regularizer: Any = None,
    gamma_regularizer: Any = None,
    beta_constraint: Any = None,
    gamma_constraint: Any = None,
    training: bool | None = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
    renorm: bool = False,
    renorm_clipping: Any = None,
    renorm_momentum: float = 0.99,
    fused: bool | None = None,
    virtual_batch_size: int | None = None,
    adjustment: Any = None,
) -> Any:
    """Normalize each channel by its mean and variance over the batch.

    Ioffe and Szegedy 2015 (arXiv 1502.03167), algorithms 1 and 2:

    output = gamma * (inputs - mean) / sqrt(variance + epsilon) + beta

    In training, mean and variance are those of the batch over all pixels. Ops in the collection
    UPDATE_OPS, which each training step runs, update their moving averages:

    moving = momentum * moving + (1 - momentum) * batch's

    In inference, mean and variance are the moving averages.

    Args:
        inputs: float [batch, ..., channels], or channels first; see `layers.arrange`.
        axis: axis of the channels. Default: as `arrange` says, else the last one.
        momentum: weight of the old moving average in the new one, in [0, 1).
        epsilon: a small number (> 0) that is added to the variance.
        center, scale: whether there is a beta and a gamma.
        training: whether the mean and variance are those of the batch, a Python bool. It must be
            given.
        name: scope of the variables `gamma`, `beta`, `moving_mean` and `moving_variance`, each
            [channels].
        beta_initializer and the other arguments: see `conv2d`, and `tf.layers` for those after
            reuse.

    Returns:
        float, same shape as the inputs.

    Raises:
        UsageError: `training` is not given.
    """
    arguments = locals()
    check_training(arguments.pop("training"), "batch_normalization")
    if axis is None:
        arguments["axis"] = channel_axis(inputs)
    outputs = apply_layer(
        chosen(normalization_layer), "batch_normalization", arguments, training=training
    )
    towers.current().training_only[outputs.name] = {"momentum": momentum}
    return outputs


def group_normalization(
    inputs: Any, groups: int = 32, *, epsilon: float = 1e-5, name: str | None = None
) -> Any:
    """Normalize groups of channels of each image by the mean and variance of the group.

    Wu and He 2018 (arXiv 1803.08494), section 3.1:

    output = gamma * (inputs - mean) / sqrt(variance + epsilon) + beta

    Mean and variance are those of one image over a group of channels and all pixels. So the layer
    does not depend on the batch, and is the same in training and in inference.

    Args:
        inputs: float [batch, ..., channels], or channels first; see `layers.arrange`.
        groups: number of groups (>= 1), a divisor of the number of channels. With 1, the mean and
            variance are over all channels.
        epsilon: a small number (> 0) that is added to the variance.
        name: scope of the variables `gamma` and `beta`, each [channels].

    Returns:
        float, same shape as the inputs.

    Raises:
        CnnlabError: the number of channels is not a multiple of the number of groups.
    """
    tower = towers.current()
    name, full_name = tower.layer_name(name or "group_normalization")
    channels = int(inputs.shape[channel_axis(inputs)])
    if channels % groups:
        raise CnnlabError(f"{full_name}: {groups} groups do not divide {channels} channels")
    with tf.variable_scope(name, use_resource=True):
        gamma = tf.get_variable("gamma", [channels], initializer=tf.ones_initializer())
        beta = tf.get_variable("beta", [channels], initializer=tf.zeros_initializer())

        def normalize(x: Any) -> Any:
            shape = tf.shape(x)
            grouped = tf.reshape(
                x, tf.concat([shape[:1], [-1], [groups, channels // groups]], axis=0)
            )  # [b, pixels, groups, channels of a group]
            mean, variance = tf.nn.moments(grouped, axes=[1, 3], keepdims=True)
            normalized = (grouped - mean) * tf.rsqrt(variance + epsilon)
            return tf.ensure_shape(tf.reshape(normalized, shape), x.shape) * gamma + beta

        outputs = with_channels_last(normalize, inputs)
    tower.activations[full_name] = outputs
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
    """Divide each channel by a power of the sum of squares of its neighbouring channels.

    Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks",
    section 3.3:

    output_c = x_c / (bias + alpha * sum of x_j^2 for |j - c| <= depth_radius)^beta

    Args:
        inputs: float32 [batch, height, width, channels], or channels first; see `layers.arrange`.
        depth_radius: number of neighbouring channels on each side (>= 0).
        bias, alpha, beta: the constants of the formula. The defaults are those of cuda-convnet for
            CIFAR-10.
        name: name of the layer.

    Returns:
        float32, same shape as the inputs.
    """

    def normalize(x: Any) -> Any:
        # On a CPU this is faster than TensorFlow's op. The sums are a product with a band matrix of
        # ones, and the power 3/4 is two square roots.
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
