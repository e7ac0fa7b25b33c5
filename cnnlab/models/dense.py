"""Dense layers, and the product y = x w in the order that is fast in loops that XLA compiles.

With few columns in w, most of a vector of the processor would be empty; of w^T x^T, and of g^T x on
the way back, none is. XLA puts the small matrices into order in a fraction of the time that it
saves; without barriers it would turn the products round again. The figures are in
docs/performance.md.
"""

from __future__ import annotations

import functools
from typing import Any

from cnnlab import tower as towers
from cnnlab.models.gradients import with_gradient
from cnnlab.tf1 import legacy_core, tf, xla_ops


def dense_layer(**kwargs: Any) -> Any:
    """The legacy layer Dense, which multiplies in the order that the tower asks for."""
    turns = towers.current().turns_products
    return (_layer_class() if turns else legacy_core.Dense)(**kwargs)


@functools.cache
def _layer_class() -> Any:
    class Dense(legacy_core.Dense):
        def call(self, inputs: Any) -> Any:
            weights = [tf.convert_to_tensor(self.kernel)]
            if self.use_bias:
                weights.append(tf.convert_to_tensor(self.bias))
            outputs = product_turned_round(inputs, *weights)
            return outputs if self.activation is None else self.activation(outputs)

    return Dense


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
