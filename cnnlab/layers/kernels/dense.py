"""Dense layers, and the product y = x w in the order, and from the memory, that is fast.

In loops that XLA compiles: with few columns in w, most of a vector of the processor would be empty;
of w^T x^T, and of g^T x on the way back, none is. XLA puts the small matrices into order in a
fraction of the time that it saves; without barriers it would turn the products round again.

On processors with AVX2: products of few rows oneDNN makes from w where it lies, a few columns at a
time. Where a row of w is a multiple of 2 KB long, what it reads falls on the same few places of the
cache, and the product takes twice as long as it should. Of 64 rows and more, a copy of w with rows
longer by a line of the cache takes a quarter at most of what it saves; the bits are the same.

The figures are in docs/performance.md.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable
from typing import Any, Final

from cnnlab.base.tf1 import is_on_cpu, legacy_core, onednn_is_on, onednn_uses_avx512, tf, xla_ops
from cnnlab.layers import tower as towers
from cnnlab.layers.kernels.gradients import with_gradient
from cnnlab.layers.kernels.products import product_gradients

_UNEVEN_BY: Final = 16  # columns: a line of the cache
_BAD_COLUMNS: Final = 512  # multiples of it
_LEAST_ROWS: Final = 32  # fewer take no longer than the copy
_LEAST_WEIGHTS: Final = 2**20  # of fewer, operations take as long as they save
# oneDNN's own: 1/rows + 1/columns from which on it makes products without copying its matrices.
_COPIES_NOTHING: Final = 0.0038


def dense_layer(**kwargs: Any) -> Any:
    """The legacy layer Dense, which multiplies as is fastest in the tower."""
    return _layer_class()(**kwargs)


@functools.cache
def _layer_class() -> Any:
    class Dense(legacy_core.Dense):
        def call(self, inputs: Any) -> Any:
            product = _product_for(inputs, self.kernel)
            if product is None:
                return super().call(inputs)
            weights = [tf.convert_to_tensor(self.kernel)]
            if self.use_bias:
                weights.append(tf.convert_to_tensor(self.bias))
            outputs = product(inputs, *weights)
            return outputs if self.activation is None else self.activation(outputs)

    return Dense


def _product_for(inputs: Any, kernel: Any) -> Callable[..., Any] | None:
    """How x w + b is computed fastest; None: as TensorFlow does."""
    tower = towers.current()
    if tower.dense_products == "turned":
        return product_turned_round
    if (
        tower.dense_products == "uneven"
        and tower.batch_size is not None
        and inputs.shape.rank == 2
        and inputs.dtype == tf.float32
        and kernel.shape.num_elements() >= _LEAST_WEIGHTS
        and kernel.shape[1] % _BAD_COLUMNS == 0
        and tower.batch_size >= _LEAST_ROWS
        and 1 / tower.batch_size + 1 / kernel.shape[1] >= _COPIES_NOTHING
        and is_on_cpu(inputs)
        and onednn_is_on()
        and not onednn_uses_avx512()
        and platform.machine() in ("x86_64", "AMD64")
    ):
        return product_from_uneven_rows
    return None


def product_from_uneven_rows(inputs: Any, weights: Any, bias: Any = None) -> Any:
    """As `product_turned_round`, but of w copied to where its rows do not fall on the same places
    of the cache."""
    uneven = tf.pad(weights, [[0, 0], [0, _UNEVEN_BY]])
    product = tf.matmul(inputs, uneven)[:, : weights.shape[1]]
    # Told, because by way of the copy the gradient of the weights would be copied, too.
    (product,) = with_gradient(
        [product],
        [inputs, weights],
        lambda gradient: product_gradients(inputs, weights, gradient),
    )
    return product if bias is None else tf.nn.bias_add(product, bias)


def product_turned_round(inputs: Any, weights: Any, bias: Any = None) -> Any:
    """x w + b, and its gradients.

    Args:
        inputs: float32 [batch, features].
        weights: float32 [features, columns].
        bias: float32 [columns], or None.

    Returns:
        float32 [batch, columns].
    """

    def gradient(of_outputs: Any) -> list[Any]:
        # XLA hands a product to another thread if anything else can be computed meanwhile, which
        # costs more than it gains. So nothing can: it waits for the bias's gradient.
        of_bias = tf.reduce_sum(of_outputs, axis=0)
        turned = _as_it_lies(tf.transpose(of_outputs + 0.0 * of_bias))
        of_weights = tf.transpose(_as_it_lies(tf.matmul(turned, inputs)))
        of_inputs = tf.matmul(of_outputs, weights, transpose_b=True)
        return [of_inputs, of_weights, of_bias][: len(sources)]

    turned = tf.matmul(_as_it_lies(tf.transpose(weights)), inputs, transpose_b=True)
    outputs = tf.transpose(_as_it_lies(turned))
    sources = [inputs, weights]
    if bias is not None:
        outputs = tf.nn.bias_add(outputs, bias)
        sources.append(bias)
    return with_gradient([outputs], sources, gradient)[0]


def _as_it_lies(matrix: Any) -> Any:
    """The same, which XLA does not join with what it is made of."""
    return xla_ops.xla_optimization_barrier([matrix])[0]
