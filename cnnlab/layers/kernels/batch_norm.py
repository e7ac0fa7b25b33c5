"""Batch norm: in inference part of the convolution before it, in training where oneDNN is slow.

In inference each channel gets a factor and a summand that do not depend on the images: the kernel
is multiplied by the one, and the other is a bias. TensorFlow's optimizer does so, too, but the sum
and the relu of a residual block it puts only into a convolution that has a bias as written.

In training, without AVX-512, or where the channels are no multiple of 16, oneDNN goes over the
images eight channels at a time and writes half a cache line at each place, which takes three to
seven times as long as whole lines. Convolutions of each channel with a single weight go over the
memory as it lies: the sum of the squares is the gradient of such a weight, and what the mean and
the variance make of an image is such a weight and a bias. The figures are in docs/performance.md.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from cnnlab.base.tf1 import (
    is_on_cpu,
    legacy_normalization,
    onednn_is_on,
    onednn_uses_avx512,
    tf,
    tf2,
)
from cnnlab.layers import tower as towers
from cnnlab.layers.kernels.gradients import with_gradient

LEAST_PLACES: Final = 36  # of an image; of fewer, there is too little to gain
# The variance as the mean of the squares less the square of the mean: four of 24 bits may be lost.
LEAST_SHARE: Final = 1 / 16
ONE_BY_ONE: Final = {"strides": [1] * 4, "padding": "VALID"}


def normalization_layer(**kwargs: Any) -> Any:
    """The legacy layer BatchNormalization, which takes the faster way where the tower has leave
    to."""
    is_fast = towers.current().fast_kernels
    layer_class = _layer_class() if is_fast else legacy_normalization.BatchNormalization
    return layer_class(**kwargs)


@functools.cache
def _layer_class() -> Any:
    class BatchNormalization(legacy_normalization.BatchNormalization):
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            if training is False and _is_within(self, inputs):
                return within_convolution(
                    inputs,
                    *_gamma_and_beta(self),
                    self.moving_mean,
                    self.moving_variance,
                    self.epsilon,
                )
            if training is not True or not _is_faster(self, inputs):
                return super().call(inputs, training=training, mask=mask)
            outputs, mean, variance = normalize(inputs, *_gamma_and_beta(self), self.epsilon)
            for variable, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                self.add_update(tf.assign_sub(variable, (variable - value) * (1 - self.momentum)))
            return outputs

    return BatchNormalization


def _gamma_and_beta(layer: Any) -> tuple[Any, Any]:
    """Float32 [channels] each; ones and zeros where the layer has none."""
    shape = layer.moving_mean.shape
    gamma = layer.gamma if layer.scale else tf.ones(shape)
    beta = layer.beta if layer.center else tf.zeros(shape)
    return gamma, beta


def _is_within(layer: Any, inputs: Any) -> bool:
    """Whether batch norm in inference can be part of a convolution that makes these images."""
    before = inputs.op.inputs[0].op if inputs.op.type == "BiasAdd" else inputs.op
    return (
        not towers.is_training()
        and bool(layer.fused)
        and list(layer.axis) == [3]
        and inputs.dtype == tf.float32
        and before.type == "Conv2D"
        and before.get_attr("data_format") == b"NHWC"
        and is_on_cpu(inputs)
    )


def within_convolution(
    inputs: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float
) -> Any:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, by the convolution that x comes from.

    Args:
        inputs: float32 [batch, height, width, channels], of an operation Conv2D, or BiasAdd after
            one.
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
    with tf.name_scope(convolution.name.rpartition("/")[0] + "/"):  # its layer's, entered again
        outputs = tf.raw_ops.Conv2D(input=images, filter=kernel * scale, **attributes)
    return tf.nn.bias_add(outputs, bias)


def _is_faster(layer: Any, inputs: Any) -> bool:
    """Whether batch norm of these images can be computed, and is known to be faster, this way."""
    return (
        bool(layer.fused)  # four axes, and none of the layer's rarer options
        and layer.trainable
        and list(layer.axis) == [3]
        and inputs.dtype == tf.float32
        and inputs.shape[1:].is_fully_defined()
        and inputs.shape[1] * inputs.shape[2] >= LEAST_PLACES
        and is_on_cpu(inputs)
        and onednn_is_on()
        and inputs.shape[3] != 8
        and (inputs.shape[3] % 16 != 0 or not onednn_uses_avx512())
    )


def normalize(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, channel by channel, with gradients.

    Args:
        inputs: float32 [batch, height, width, channels], all but the batch known.
        gamma, beta: float32 [channels].
        epsilon: added to the variance.

    Returns:
        outputs: like inputs; mean of the batch, float32 [channels]; unbiased estimate of the
        variance, float32 [channels].
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
    """A function of images, gamma and beta, which gives the outputs, mean, variance and its
    unbiased estimate. It is the same for all layers with so many channels: deep networks start
    half a second earlier than with as many copies of its operations."""
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
    with tf.Graph().as_default():  # not in the one that is being built
        return function.get_concrete_function()


def _moments(x: Any, count: Any) -> tuple[Any, Any]:
    """Mean and variance of each channel, float32 [channels], over `count` places, float32."""
    channels = x.shape[3]
    mean = tf.reduce_mean(tf.reshape(x, [-1, channels]), axis=0)
    squares = tf.nn.depthwise_conv2d_backprop_filter(x, [1, 1, channels, 1], x, **ONE_BY_ONE)
    squares = tf.reshape(squares, [channels]) / count
    variance = squares - tf.square(mean)
    # Far from zero, the difference of two large numbers would be wrong: then once more, centred,
    # of all images and not of none.
    is_near_zero = tf.reduce_all(variance >= LEAST_SHARE * squares)
    images = x[: tf.where(is_near_zero, 0, tf.shape(x)[0])]
    centred = tf.square(tf.reshape(images, [-1, channels]) - mean)
    return mean, tf.where(is_near_zero, variance, tf.reduce_sum(centred, axis=0) / count)
