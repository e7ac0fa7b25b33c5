"""The gradient of a matrix product in the order that a CPU is fast in.

y = x w, with few rows in x and many numbers in w, as in a dense layer: TensorFlow computes the
gradient of x as g w^T by a product of oneDNN that puts all of w into another order first, where the
processor has AVX-512. The operation Einsum asks oneDNN for a product of a transposed matrix, which
takes w as it lies.

The gradient of w is x^T g. With few columns, as in the layer of the logits, most of a vector of the
processor would be empty; of g^T x none is. That is put into order by a product with the identity,
the same numbers in a fifth of the time that `tf.transpose` takes. The figures are in
docs/performance.md.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any, Final

import numpy as np

from cnnlab.base.tf1 import framework_ops, is_on_cpu, tf

MAX_COLUMNS: Final = 10  # with 16 and more, nothing is gained
MIN_ROWS: Final = 512  # with fewer, a microsecond
MIN_WEIGHTS: Final = 2**18  # of fewer, the order is made in less time than operations start in
_NAME: Final = "FastProductGradient"


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
    if is_transposed or not weights.shape.is_fully_defined():
        return framework_ops.gradient_registry.lookup("MatMul")(op, gradient)
    return product_gradients(inputs, weights, gradient)


def product_gradients(inputs: Any, weights: Any, gradient: Any) -> tuple[Any, Any]:
    """Those of x w.

    Args:
        inputs: x, [batch, rows].
        weights: w, [rows, columns], of known shape.
        gradient: by each number of x w, [batch, columns].

    Returns:
        the gradients by each number of x and of w.
    """
    if weights.shape.num_elements() < MIN_WEIGHTS:
        of_inputs = tf.matmul(gradient, weights, transpose_b=True)
    else:
        of_inputs = tf.raw_ops.Einsum(inputs=[gradient, weights], equation="bc,rc->br")
    rows, columns = weights.shape.as_list()
    if rows >= MIN_ROWS and columns <= MAX_COLUMNS and is_on_cpu(inputs):
        of_weights_transposed = tf.matmul(gradient, inputs, transpose_a=True)
        identity = tf.constant(np.eye(columns), gradient.dtype)
        of_weights = tf.matmul(of_weights_transposed, identity, transpose_a=True)
    else:
        of_weights = tf.matmul(inputs, gradient, transpose_a=True)
    return of_inputs, of_weights
