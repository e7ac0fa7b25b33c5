"""Max pooling ahead of what commutes with it.

relu(x + b) never falls as x grows, so its maximum over a window is that of x, gone through it: the
same numbers, in floating point too, because rounding keeps order. Written `conv, relu, pool`, a
network adds its biases and cuts off negatives at every place of its largest images, forward and
back, to throw away three quarters of it. Pooled first, there is a quarter of that to do: some per
cent of a step of `cifar_cnn` on a CPU (docs/performance.md). Where numbers of a window become equal
when the bias is added, the gradient may go to another of them.

Not so with windows of one place, by which a residual network takes every other place of what its
next convolution reads as a whole: the relu is needed everywhere, and TensorFlow makes one operation
of convolution, bias, sum and relu only where nothing else reads the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.base.tf1 import legacy_pooling, tf
from cnnlab.layers import tower as towers


def max_pooling_layer(**kwargs: Any) -> Callable[[Any], Any]:
    """As the legacy layer MaxPooling2D; computes ahead of a bias and a relu in what it is given."""
    layer = legacy_pooling.MaxPooling2D(**kwargs)
    if towers.current().as_written or max(layer.pool_size) == 1:
        return layer
    return lambda inputs: _pool_first(inputs, layer)


def _pool_first(inputs: Any, layer: Any) -> Any:
    op = inputs.op
    if op.type == "Relu":
        pooled = _pool_first(op.inputs[0], layer)
        with _scope_of(pooled):
            return tf.nn.relu(pooled)
    if op.type == "BiasAdd":
        pooled = _pool_first(op.inputs[0], layer)
        with _scope_of(pooled):
            return tf.nn.bias_add(pooled, op.inputs[1], op.get_attr("data_format").decode())
    return layer(inputs)


def _scope_of(tensor: Any) -> Any:
    """The name scope that a tensor was made in, entered again."""
    return tf.name_scope(tensor.op.name.rpartition("/")[0] + "/")
