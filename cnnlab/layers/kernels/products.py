"""The gradients of a matrix product, computed in the order that is faster on a CPU.

The product is y = x w, with few rows in x and many numbers in w, as in a dense layer. TensorFlow
computes the gradient of x as g w^T. With AVX-512, oneDNN reorders all of w before this product. The
operation Einsum asks oneDNN for a product with a transposed matrix, which reads w in place.

The gradient of w is x^T g. With few columns, as in the layer of the logits, most of a vector
register would be empty. In g^T x it is full. A product with the identity transposes the result
back. It gives the same numbers as `tf.transpose`, and is faster. See docs/performance/dense.md.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any, Final

import numpy as np

from cnnlab.base.tf1 import framework_ops, tf
from cnnlab.layers.kernels.choice import product_gradient

_NAME: Final = "FastProductGradient"


def fast_product_gradients() -> AbstractContextManager[None]:
    """Return a context in which products built in the current graph have this gradient."""
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
    """Return the gradients of x w.

    Args:
        inputs: x, [batch, rows].
        weights: w, [rows, columns], of known shape.
        gradient: gradient of each number of x w, [batch, columns].

    Returns:
        the gradients of x and of w.
    """
    chosen = product_gradient(inputs, weights)
    if chosen.einsum:
        of_inputs = tf.raw_ops.Einsum(inputs=[gradient, weights], equation="bc,rc->br")
    else:
        of_inputs = tf.matmul(gradient, weights, transpose_b=True)
    if chosen.transposed:
        of_weights_transposed = tf.matmul(gradient, inputs, transpose_a=True)
        identity = tf.constant(np.eye(int(weights.shape[1])), gradient.dtype)
        of_weights = tf.matmul(of_weights_transposed, identity, transpose_a=True)
    else:
        of_weights = tf.matmul(inputs, gradient, transpose_a=True)
    return of_inputs, of_weights
