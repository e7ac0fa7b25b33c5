"""Dropout: masks that are a pure function of (seed, step, layer name)."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.layers import tower as towers
from cnnlab.layers.data_format import channel_axis


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


def spatial_dropout(
    inputs: Any, rate: float = 0.2, *, training: bool, name: str | None = None
) -> Any:
    """Zero a share `rate` of the channels of each image and scale the rest by 1 / (1 - rate), when
    training.

    Tompson et al. 2014 (arXiv 1411.4280): neighbouring places of a channel say much the same, so
    dropping single ones hides little.

    Args:
        inputs: float [batch, height, width, channels].
        rate: share that is dropped, in [0, 1).
        training: a Python bool; nothing happens where it is False.
        name: names the layer; another name draws another mask.
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
