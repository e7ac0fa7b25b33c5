"""Batch norm: in inference part of the convolution before it, in training by convolutions.

In inference each channel gets a factor and a summand that do not depend on the images. The kernel
is multiplied by the factor, and the summand becomes the bias. TensorFlow's optimizer does the same.
But it merges the sum and the relu of a residual block only into a convolution that the model wrote
with a bias.

In training oneDNN is slow without AVX-512, or where the number of channels is not a multiple of 16.
It goes over the images eight channels at a time and writes half a cache line at each pixel.
Convolutions of each channel with a single weight read and write the memory in order. The sum of the
squares is the gradient of this weight. Normalizing an image is a product with this weight, and a
bias. See docs/performance/batch_norm.md.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from cnnlab.base.errors import UsageError
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import legacy_normalization, tf, tf2
from cnnlab.config.update_options import settings_of
from cnnlab.layers import tower as towers
from cnnlab.layers.kernels.choice import Kernels
from cnnlab.layers.kernels.gradients import with_gradient
from cnnlab.layers.kernels.sync_batch_norm import normalize_over_workers

# The variance is the mean of the squares less the square of the mean. If it is a smaller share of
# the mean of the squares than this, more than four of 24 bits would be lost.
LEAST_SHARE: Final = 1 / 16
ONE_BY_ONE: Final = {"strides": [1] * 4, "padding": "VALID"}


def normalization_layer(kernels: Kernels, **kwargs: Any) -> Any:
    """Return the legacy layer BatchNormalization, which computes with the chosen kernel."""
    return _layer_class(kernels)(**kwargs)


@functools.cache
def _layer_class(kernels: Kernels) -> Any:
    class BatchNormalization(legacy_normalization.BatchNormalization):
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            training = training and is_trained(self)
            if training is False and kernels.normalizes_within_convolution(self, inputs):
                return within_convolution(
                    inputs,
                    *_gamma_and_beta(self),
                    self.moving_mean,
                    self.moving_variance,
                    self.epsilon,
                )
            channel = towers.current().new_channel() if training is not False else None
            if channel is not None:
                if training is not True:
                    raise UsageError(f"--sync_bn: parameter_groups cannot train {self.name} later")
                outputs, mean, variance = normalize_over_workers(
                    self, inputs, *_gamma_and_beta(self), channel
                )
            elif training is True and kernels.normalizes_by_convolutions(self, inputs):
                outputs, mean, variance = normalize(inputs, *_gamma_and_beta(self), self.epsilon)
            else:
                return super().call(inputs, training=training, mask=mask)
            for variable, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                self.add_update(tf.assign_sub(variable, (variable - value) * (1 - self.momentum)))
            return outputs

    return BatchNormalization


def is_trained(layer: Any) -> Any:
    """Return whether a layer uses the statistics of the batch in training: a bool, or a tensor.

    A layer whose gamma and beta the options freeze computes as in inference, also before the step
    from which parameter_groups train them. Its moving averages then stay as they are.
    """
    tower = towers.current()
    weights = [weight for weight in (layer.gamma, layer.beta) if weight is not None]
    names = [weight.op.name for weight in weights or [layer.moving_mean]]
    trained = [name for name in names if not tower.defaults.freezes(name)]
    if not trained:
        return False
    groups = tower.defaults.parameter_groups
    first_step = min(int(settings_of(groups, name).get("from", 0)) for name in trained)
    if not first_step:
        return True
    return tower.step >= first_step * tower.defaults.micro_batches


def _gamma_and_beta(layer: Any) -> tuple[Any, Any]:
    """Return float32 [channels] each; ones and zeros where the layer has none."""
    shape = layer.moving_mean.shape
    gamma = layer.gamma if layer.scale else tf.ones(shape)
    beta = layer.beta if layer.center else tf.zeros(shape)
    return gamma, beta


def within_convolution(
    inputs: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float
) -> Any:
    """Return gamma (x - mean) / sqrt(variance + epsilon) + beta, computed within a convolution.

    Args:
        inputs: x, float32 [batch, height, width, channels], the output of a Conv2D or of a BiasAdd
            after one.
        gamma, beta, mean, variance: float32 [channels].
        epsilon: added to the variance.
    """
    scale = gamma * tf.rsqrt(variance + epsilon)
    bias = beta - mean * scale
    convolution = inputs.op
    if convolution.type == "BiasAdd":
        bias += convolution.inputs[1] * scale
        convolution = convolution.inputs[0].op
    images, kernel = convolution.inputs
    names = ("strides", "padding", "explicit_paddings", "dilations")
    attributes = {name: convolution.get_attr(name) for name in names}
    with tf.name_scope(
        convolution.name.rpartition("/")[0] + "/"
    ):  # its layer's scope, entered again
        outputs = tf.raw_ops.Conv2D(input=images, filter=kernel * scale, **attributes)
    return tf.nn.bias_add(outputs, bias)


def normalize(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Return gamma (x - mean) / sqrt(variance + epsilon) + beta for each channel, with gradients.

    Args:
        inputs: float32 [batch, height, width, channels], all but the batch known.
        gamma, beta: float32 [channels].
        epsilon: added to the variance.

    Returns:
        the outputs, of the shape of the inputs, and two float32 [channels]: the mean of the batch
        and the unbiased estimate of its variance.
    """
    gamma, beta = tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta)
    outputs, mean, variance, unbiased = tf.raw_ops.PartitionedCall(
        args=[inputs, gamma, beta], Tout=[tf.float32] * 4, f=_forward(inputs.shape[3], epsilon)
    )
    outputs.set_shape(inputs.shape)
    for of_channels in (mean, variance, unbiased):
        of_channels.set_shape(gamma.shape)

    def gradient(of_outputs: Any) -> list[Any]:
        of_all = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=of_outputs,
            x=inputs,
            scale=gamma,
            reserve_space_1=mean,
            reserve_space_2=variance,
            reserve_space_3=mean,  # is not read on a CPU
            epsilon=epsilon,
        )
        return [of_all.x_backprop, of_all.scale_backprop, of_all.offset_backprop]

    (outputs,) = with_gradient([outputs], [inputs, gamma, beta], gradient)
    return outputs, mean, unbiased


@functools.cache
def _forward(channels: int, epsilon: float) -> Any:
    """Return a function of images, gamma and beta that computes the batch norm.

    All layers with this number of channels share it. So the graph of a deep network has one copy of
    its operations. It returns the outputs, the mean, the variance and its unbiased estimate.
    """
    images = tf.TensorSpec([None, None, None, channels], tf.float32)
    of_channels = tf.TensorSpec([channels], tf.float32)

    def forward(x: Any, gamma: Any, beta: Any) -> Any:
        count = tf.cast(tf.size(x) // channels, tf.float32)
        mean, variance = _moments(x, count)
        scale = gamma * tf.rsqrt(variance + epsilon)
        outputs = tf.nn.depthwise_conv2d_native(
            x, tf.reshape(scale, [1, 1, channels, 1]), **ONE_BY_ONE
        )
        outputs = tf.nn.bias_add(outputs, beta - mean * scale)
        return outputs, mean, variance, variance * (count / (count - 1))

    function = tf2.function(forward, [images, of_channels, of_channels], autograph=False)
    with building_in(tf.Graph()):  # not in the graph that is being built
        return function.get_concrete_function()


def _moments(x: Any, count: Any) -> tuple[Any, Any]:
    """Return mean and variance of each channel, float32 [channels], over `count` pixels."""
    channels = x.shape[3]
    mean = tf.reduce_mean(tf.reshape(x, [-1, channels]), axis=0)
    squares = tf.nn.depthwise_conv2d_backprop_filter(x, [1, 1, channels, 1], x, **ONE_BY_ONE)
    squares = tf.reshape(squares, [channels]) / count
    variance = squares - tf.square(mean)
    # Far from zero, the difference of two large numbers is inexact. Then the variance is computed
    # again from centred images. Otherwise the slice has no images.
    is_near_zero = tf.reduce_all(variance >= LEAST_SHARE * squares)
    images = x[: tf.where(is_near_zero, 0, tf.shape(x)[0])]
    centred = tf.square(tf.reshape(images, [-1, channels]) - mean)
    return mean, tf.where(is_near_zero, variance, tf.reduce_sum(centred, axis=0) / count)
