"""Dropout whose masks are a pure function of (seed, step, layer name).

`tf.layers.dropout` draws from a generator whose state changes from step to step. Here there is no
such state, so a run that is stopped and resumed draws the same masks.
"""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.layers import tower as towers
from cnnlab.layers.data_format import channel_axis


def dropout(inputs: Any, rate: float = 0.5, *, training: bool, name: str | None = None) -> Any:
    """Set random elements to zero in training, and scale the others.

    Srivastava et al. 2014 (JMLR 15), section 4. The scale is 1 / (1 - rate). It keeps the expected
    value of each element, so inference needs no change.

    Args:
        inputs: float [batch, ...].
        rate: the fraction of elements to drop, in [0, 1).
        training: a Python bool. If it is False, the inputs are returned.
        name: name of the layer. Layers with different names draw different masks.

    Returns:
        float, same shape as the inputs.
    """
    tower = towers.current()
    name = tower.unique_name(name or "dropout")
    if not training or rate == 0:
        return inputs
    with tf.name_scope(name):
        outputs = tf.nn.experimental.stateless_dropout(inputs, rate, seed=tower.random_key(name))
    tower.activations[name] = outputs
    return outputs


def spatial_dropout(
    inputs: Any, rate: float = 0.2, *, training: bool, name: str | None = None
) -> Any:
    """Set random channels of each image to zero in training, and scale the others.

    The scale is 1 / (1 - rate). Tompson et al. 2014 (arXiv 1411.4280), section 3.2: neighbouring
    pixels of a channel are strongly correlated, so dropping single pixels hides little information.

    Args:
        inputs: float [batch, height, width, channels], or channels first; see `layers.arrange`.
        rate: the fraction of channels to drop, in [0, 1).
        training: a Python bool. If it is False, the inputs are returned.
        name: name of the layer. Layers with different names draw different masks.

    Returns:
        float, same shape as the inputs.
    """
    tower = towers.current()
    name = tower.unique_name(name or "spatial_dropout")
    if not training or rate == 0:
        return inputs
    shape = tf.shape(inputs)
    noise_shape = [shape[0], 1, 1, 1]
    noise_shape[channel_axis(inputs)] = shape[channel_axis(inputs)]
    with tf.name_scope(name):
        outputs = tf.nn.experimental.stateless_dropout(
            inputs, rate, seed=tower.random_key(name), noise_shape=tf.stack(noise_shape)
        )
    tower.activations[name] = outputs
    return outputs
