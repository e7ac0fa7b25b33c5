"""Recognise a batch norm in inference: TensorFlow's one operation, or the arithmetic that it is."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnlab.base.tf1 import tf


class Normalization(NamedTuple):
    """A batch norm.

    Attributes:
        gamma, beta: float32 [channels]; None: without.
        mean, variance: float32 [channels], the moving averages.
        epsilon: what is added to the variance.
        last: the operation that gives the output.
    """

    gamma: Any
    beta: Any
    mean: Any
    variance: Any
    epsilon: float
    last: Any


def batch_norm_of(op: Any, after: Any) -> Normalization | None:
    """Return the batch norm that begins with an operation; None: it is none.

    Args:
        op: an operation of an inference graph.
        after: the next one, which alone uses its output.
    """
    if op.type == "FusedBatchNormV3":
        gamma, beta, mean, variance = op.inputs[1:5]
        is_nhwc = op.get_attr("data_format") == b"NHWC"
        if op.get_attr("is_training") or not is_nhwc:
            return None
        gamma = None if _is_all(gamma, 1) else gamma
        beta = None if _is_all(beta, 0) else beta
        return Normalization(gamma, beta, mean, variance, op.get_attr("epsilon"), op)
    return _of_arithmetic(op, after)


def _of_arithmetic(op: Any, after: Any) -> Normalization | None:
    """Return the batch norm of `tf.nn.batch_normalization`: x * factor + (beta - mean * factor).

    The factor is rsqrt(variance + epsilon) * gamma.
    """
    if op.type != "Mul" or after.type != "AddV2":
        return None
    factor, rest = op.inputs[1], after.inputs[1].op
    gamma, root = None, factor.op
    if root.type == "Mul":
        root, gamma = factor.op.inputs[0].op, factor.op.inputs[1]
    if root.type != "Rsqrt" or root.inputs[0].op.type != "AddV2":
        return None
    variance, added = root.inputs[0].op.inputs
    epsilon = tf.get_static_value(added)
    beta, product = None, rest
    if rest.type == "Sub":
        beta, product = rest.inputs[0], rest.inputs[1].op
    if epsilon is None or product.type != "Mul" or product.inputs[1] is not factor:
        return None
    mean = product.inputs[0]
    if beta is None:
        if mean.op.type != "Neg":
            return None
        mean = mean.op.inputs[0]
    return Normalization(gamma, beta, mean, variance, float(epsilon), after)


def _is_all(tensor: Any, number: float) -> bool:
    value = tf.get_static_value(tensor)
    return value is not None and bool((value == number).all())
