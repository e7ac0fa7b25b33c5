"""Batch norm over the batch of all workers: each has some images, and gets the others' sums.

Mean and variance are put together from those of the workers (Chan, Golub and LeVeque 1983,
"Algorithms for computing the sample variance", equation 2.1). The gradient of the inputs depends on
two sums over the whole batch, so the backward pass exchanges a buffer, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.layers.kernels.gradients import with_gradient


class Channel(NamedTuple):
    """The way to the other workers that one layer has.

    forward, backward: from float32 [n] to float32 [workers, n], the buffers of all workers, in
        their order.
    """

    forward: Callable[[Any], Any]
    backward: Callable[[Any], Any]


def normalize_over_workers(
    layer: Any, inputs: Any, gamma: Any, beta: Any, channel: Channel
) -> tuple[Any, Any, Any]:
    """Return gamma (x - mean) / sqrt(variance + epsilon) + beta, with gradients.

    The gradients of gamma and beta are those of this worker's images. The objective of a worker is
    the mean over its images, and counts by their number.

    Args:
        layer: a legacy layer BatchNormalization.
        inputs: x, float [batch, ...], this worker's.
        gamma, beta: float32 [channels].
        channel: the way to the other workers.

    Returns:
        the outputs, of the shape and type of the inputs, and two float32 [channels] for the moving
        averages: mean and variance of the whole batch. The variance is the unbiased estimate if the
        layer is `fused`.

    Raises:
        UsageError: the layer computes other statistics than those of the batch.
    """
    if layer.renorm or layer.virtual_batch_size or layer.adjustment or len(layer.axis) > 1:
        raise UsageError(
            f"--sync_bn: {layer.name} has renorm, virtual_batch_size, adjustment or several axes, "
            "which have no sum over workers; leave them out"
        )
    (axis,) = layer.axis
    others = [one for one in range(inputs.shape.rank) if one != axis]
    channels = inputs.shape[axis]
    broad = [channels if one == axis else 1 for one in range(inputs.shape.rank)]
    gamma, beta = tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta)
    x = tf.cast(inputs, tf.float32)
    own = tf.cast(tf.size(x) // channels, tf.float32)
    own_mean = tf.reduce_mean(x, others)
    own_squares = tf.reduce_sum(tf.square(x - tf.reshape(own_mean, broad)), others)
    gathered = channel.forward(tf.concat([[own], own_mean, own_squares], axis=0))
    counts, means, squares = tf.split(gathered, [1, channels, channels], axis=1)
    count = tf.reduce_sum(counts)
    mean = tf.reduce_sum(means * (counts / count), axis=0)
    squares = tf.reduce_sum(squares + counts * tf.square(means - mean), axis=0)
    factor = tf.rsqrt(squares / count + layer.epsilon)
    normalized = (x - tf.reshape(mean, broad)) * tf.reshape(factor, broad)
    outputs = normalized * tf.reshape(gamma, broad) + tf.reshape(beta, broad)

    def gradient(of_outputs: Any) -> list[Any]:
        of_beta = tf.reduce_sum(of_outputs, others)
        of_gamma = tf.reduce_sum(of_outputs * normalized, others)
        share = own / count  # of this worker's objective
        sums = channel.backward(tf.concat([of_beta, of_gamma], axis=0) * share)
        # Divided by this worker's images: its gradients will be multiplied by its share.
        of_mean, of_factor = tf.split(tf.reduce_sum(sums, axis=0) / own, [channels] * 2)
        of_x = of_outputs - tf.reshape(of_mean, broad) - normalized * tf.reshape(of_factor, broad)
        return [of_x * tf.reshape(gamma * factor, broad), of_gamma, of_beta]

    (outputs,) = with_gradient([outputs], [x, gamma, beta], gradient)
    outputs.set_shape(inputs.shape)
    variance = squares / (count - 1 if layer.fused else count)
    return tf.cast(outputs, inputs.dtype), mean, variance
