"""The dense layer y = x w, multiplied in the faster order or from faster memory.

In loops that XLA compiles, w has few columns, so most of a vector register would be empty. The
product w^T x^T fills it, and so does g^T x in the backward pass. XLA transposes the small matrices
in a fraction of the time that this saves. Barriers keep it from transposing the products back.

On processors with AVX2 only, oneDNN multiplies few rows by w in place, a few columns at a time.
Where a row of w is a multiple of 2 KB long, its reads fall on the same few places of the cache.
Then the product is slow. A copy of w whose rows are one cache line longer costs less than it saves.
The bits are the same. See docs/performance/dense.md.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from cnnlab.base.tf1 import legacy_core, tf, xla_ops
from cnnlab.layers.kernels.choice import Kernels
from cnnlab.layers.kernels.gradients import with_gradient
from cnnlab.layers.kernels.products import product_gradients

_PADDING: Final = 16  # columns: a cache line


def dense_layer(kernels: Kernels, **kwargs: Any) -> Any:
    """Return the legacy layer Dense, which multiplies with the chosen kernel."""
    return _layer_class(kernels)(**kwargs)


@functools.cache
def _layer_class(kernels: Kernels) -> Any:
    products = {"transposed": transposed_product, "padded": padded_product}

    class Dense(legacy_core.Dense):
        def call(self, inputs: Any) -> Any:
            kind = kernels.dense(inputs, self.kernel)
            if kind is None:
                return super().call(inputs)
            weights = [tf.convert_to_tensor(self.kernel)]
            if self.use_bias:
                weights.append(tf.convert_to_tensor(self.bias))
            outputs = products[kind](inputs, *weights)
            return outputs if self.activation is None else self.activation(outputs)

    return Dense


def padded_product(inputs: Any, weights: Any, bias: Any = None) -> Any:
    """Return x w + b, multiplied from a copy of w whose rows are one cache line longer.

    Args, Returns: as for `transposed_product`.
    """
    padded = tf.pad(weights, [[0, 0], [0, _PADDING]])
    product = tf.matmul(inputs, padded)[:, : weights.shape[1]]
    # The gradient is given explicitly: through the copy, TensorFlow would copy the gradient of the
    # weights too.
    (product,) = with_gradient(
        [product],
        [inputs, weights],
        lambda gradient: product_gradients(inputs, weights, gradient),
    )
    return product if bias is None else tf.nn.bias_add(product, bias)


def transposed_product(inputs: Any, weights: Any, bias: Any = None) -> Any:
    """Return x w + b, multiplied as (w^T x^T)^T, with gradients of this order too.

    Args:
        inputs: float32 [batch, features].
        weights: float32 [features, columns].
        bias: float32 [columns], or None.

    Returns:
        float32 [batch, columns].
    """

    def gradient(of_outputs: Any) -> list[Any]:
        # XLA moves a product to another thread if anything else can be computed meanwhile, which
        # costs more than it gains. So the product waits for the bias's gradient.
        of_bias = tf.reduce_sum(of_outputs, axis=0)
        transposed = _kept_apart(tf.transpose(of_outputs + 0.0 * of_bias))
        of_weights = tf.transpose(_kept_apart(tf.matmul(transposed, inputs)))
        of_inputs = tf.matmul(of_outputs, weights, transpose_b=True)
        return [of_inputs, of_weights, of_bias][: len(sources)]

    transposed = tf.matmul(_kept_apart(tf.transpose(weights)), inputs, transpose_b=True)
    outputs = tf.transpose(_kept_apart(transposed))
    sources = [inputs, weights]
    if bias is not None:
        outputs = tf.nn.bias_add(outputs, bias)
        sources.append(bias)
    return with_gradient([outputs], sources, gradient)[0]


def _kept_apart(matrix: Any) -> Any:
    """Return the same matrix, which XLA does not merge with the operations before it."""
    return xla_ops.xla_optimization_barrier([matrix])[0]
