"""Dropout whose masks are a pure function of (seed, step, layer name).

`tf.layers.dropout` draws from a generator whose state changes from step to step. Here there is no
such state, so a run that is stopped and resumed draws the same masks.
"""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.layers import tower as towers
from cnnlab.layers.building import check_training
from cnnlab.layers.data_format import channel_axis


def dropout(
    inputs: Any,
    rate: float = 0.5,
    noise_shape: Any = None,
    seed: int | None = None,
    training: bool | None = None,
    name: str | None = None,
) -> Any:
    """Set random elements to zero in training, and scale the others.

    Srivastava et al. 2014 (JMLR 15), section 4. The scale is 1 / (1 - rate). It keeps the expected
    value of each element, so inference needs no change.

    Args:
        inputs: float [batch, ...].
        rate: the fraction of elements to drop, in [0, 1).
        noise_shape: shape of the mask, which is broadcast to the inputs. An axis of length 1 is
            dropped as a whole. Default: the shape of the inputs.
        seed: another seed, other masks. The masks also depend on the run's seed and the step.
        training: whether to drop, a Python bool. If it is False, the inputs are returned. It must
            be given.
        name: name of the layer. Layers with different names draw different masks.

    Returns:
        float, same shape as the inputs.

    Raises:
        UsageError: `training` is not given.
    """
    check_training(training, "dropout")
    tower = towers.current()
    name, full_name = tower.layer_name(name, "dropout")
    is_simple = rate > 0 and noise_shape is None and seed is None
    if not training or rate == 0:
        outputs = _without(inputs, name, {"rate": rate, "noise_shape": noise_shape})
        tower.dropped = towers.Dropped(full_name, rate, outputs) if is_simple else None
        return outputs
    purpose = full_name if seed is None else f"{full_name}/{seed}"
    with tf.name_scope(name):
        outputs = tf.nn.experimental.stateless_dropout(
            inputs, rate, seed=tower.random_key(purpose), noise_shape=noise_shape
        )
    tower.activations[full_name] = outputs
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
    name, full_name = tower.layer_name(name, "spatial_dropout")
    if not training or rate == 0:
        return _without(inputs, name, {"rate": rate, "is_spatial": True})
    shape = tf.shape(inputs)
    noise_shape = [shape[0], 1, 1, 1]
    noise_shape[channel_axis(inputs)] = shape[channel_axis(inputs)]
    with tf.name_scope(name):
        outputs = tf.nn.experimental.stateless_dropout(
            inputs, rate, seed=tower.random_key(full_name), noise_shape=tf.stack(noise_shape)
        )
    tower.activations[full_name] = outputs
    return outputs


def _without(inputs: Any, name: str, settings: dict[str, Any]) -> Any:
    """Return the inputs of a layer that drops nothing; an export learns what training drops."""
    if not settings["rate"] or not towers.is_as_written() or towers.is_training():
        return inputs
    outputs = tf.identity(inputs, name)  # a tensor of its own, which tells where the layer is
    towers.current().training_only[outputs.name] = settings
    return outputs
