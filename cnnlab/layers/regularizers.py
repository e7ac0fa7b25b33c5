"""Regularizers: functions of a weight that give a penalty, a float32 scalar >= 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.base.tf1 import tf


def l1_l2(l1: float = 0.0, l2: float = 0.0) -> Callable[[Any], Any] | None:
    """l1 x sum |w| + l2 x sum w^2, as Keras has it; None where both are 0.

    As a decay of w in the gradient, l2 is worth 2 x l2.
    """
    if not l1 and not l2:
        return None

    def penalty(weight: Any) -> Any:
        terms = []
        if l1:
            terms.append(l1 * tf.reduce_sum(tf.abs(weight)))
        if l2:
            terms.append(l2 * tf.reduce_sum(tf.square(weight)))
        return tf.add_n(terms)

    return penalty
