"""Regularizers: functions from a weight to its penalty, a float32 scalar >= 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.base.tf1 import tf


def l1_l2(l1: float = 0.0, l2: float = 0.0) -> Callable[[Any], Any] | None:
    """Return the regularizer with the penalty l1 * sum(|w|) + l2 * sum(w^2), as in Keras.

    The gradient of the second term is 2 * l2 * w. So l2 corresponds to a weight decay of 2 * l2.

    Args:
        l1: coefficient (>= 0) of the sum of absolute values.
        l2: coefficient (>= 0) of the sum of squares.

    Returns:
        A function from a weight, float32 of any shape, to a float32 scalar. None if both are 0.
    """
    if not l1 and not l2:
        return None

    def penalty(weight: Any) -> Any:
        """Return the penalty of a weight."""
        terms = []
        if l1:
            terms.append(l1 * tf.reduce_sum(tf.abs(weight)))
        if l2:
            terms.append(l2 * tf.reduce_sum(tf.square(weight)))
        return tf.add_n(terms)

    return penalty
