"""The gradient of a matrix product in the order that a CPU is fast in.

y = x w, with few rows in x and many numbers in w, as in a dense layer: TensorFlow computes the
gradient of x as g w^T, which on a CPU takes two to four times as long as the product forward,
because the library puts all of w into another order first. (w g^T)^T are the same sums, and only
the small matrices change their order. The figures are in docs/performance.md.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any, Final

from cnnlab.tf1 import framework_ops, tf

MIN_WEIGHTS: Final = 2**18  # of fewer, the order is made in less time than operations start in
_NAME: Final = "SmallSideTransposed"


def fast_product_gradients() -> AbstractContextManager[None]:
    """While this is entered, products built in the current graph have this gradient."""
    _register()
    overridden: AbstractContextManager[None] = tf.get_default_graph().gradient_override_map(
        {"MatMul": _NAME}
    )
    return overridden


@functools.cache
def _register() -> None:
    tf.RegisterGradient(_NAME)(_gradient)


def _gradient(op: Any, gradient: Any) -> Any:
    inputs, weights = op.inputs
    is_transposed = op.get_attr("transpose_a") or op.get_attr("transpose_b")
    if is_transposed or (weights.shape.num_elements() or 0) < MIN_WEIGHTS:
        return framework_ops.gradient_registry.lookup("MatMul")(op, gradient)
    of_inputs = tf.transpose(tf.matmul(weights, tf.transpose(gradient)))
    return of_inputs, tf.matmul(inputs, gradient, transpose_a=True)
