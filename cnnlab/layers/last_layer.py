"""The head of a network that does not mark one: its last layer, if it is a dense layer."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Head, Tower


def head_of_last_layer(tower: Tower, outputs: Any) -> Head | None:
    """Return the head that the last dense layer of an inference network is.

    A dropout right before the layer belongs to the head.

    Args:
        tower: the network.
        outputs: float32 [batch, units], what the model returns: the layer's outputs, or a constant
            times them.

    Returns:
        None if the network ends in another way, or its last layer has an activation or a
        regularizer.
    """
    last, dropped = tower.weighted, tower.dropped
    if last is None or last.kind != "dense" or not last.is_plain or last.inputs.shape.rank != 2:
        return None
    factor = _factor(outputs, last.outputs)
    if factor is None:
        return None
    options = {"name": last.scope, "use_bias": last.use_bias, "factor": factor}
    if dropped is None or dropped.outputs is not last.inputs:
        return Head(last.inputs, (), 0.0, options)
    options |= {"dropout": dropped.rate, "dropout_name": dropped.name}
    return Head(last.inputs, (), dropped.rate, options)


def _factor(product: Any, tensor: Any) -> float | None:
    """Return c where the product is c * tensor for a constant c; None: it is something else."""
    if product.name == tensor.name:
        return 1.0
    if product.op.type == "Identity":
        return _factor(product.op.inputs[0], tensor)
    if product.op.type != "Mul":
        return None
    for one, other in (product.op.inputs, reversed(list(product.op.inputs))):
        constant = tf.get_static_value(one)
        if constant is not None and constant.ndim == 0 and constant != 0:
            rest = _factor(other, tensor)
            return None if rest is None else float(constant) * rest
    return None
