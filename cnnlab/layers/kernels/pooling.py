"""Max pooling before a bias and a relu, which it commutes with.

relu(x + b) never falls as x grows. So its maximum over a window is relu(max(x) + b): the same
number, in floating point too, because rounding keeps the order. A network that is written `conv,
relu, pool` applies bias and relu to every pixel of its largest images. Then it throws away three
quarters of the results, in the forward and in the backward pass. Pooled first, a quarter of that
work is left. Where numbers of a window become equal when the bias is added, the gradient may go to
another one of them. See docs/performance/convolutions.md.

Windows of one pixel are not moved. A residual network uses them to take every other pixel of an
image, but its next convolution reads the whole image. So the relu is needed everywhere. TensorFlow
also merges convolution, bias, sum and relu only where nothing else reads the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.base.tf1 import legacy_pooling, tf
from cnnlab.layers.kernels.choice import Kernels


def max_pooling_layer(kernels: Kernels, **kwargs: Any) -> Callable[[Any], Any]:
    """Return the legacy layer MaxPooling2D, which may pool before a bias and a relu."""
    layer = legacy_pooling.MaxPooling2D(**kwargs)
    if not kernels.pools_first or max(layer.pool_size) == 1:
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
    """Return a context that enters the tensor's name scope again."""
    return tf.name_scope(tensor.op.name.rpartition("/")[0] + "/")
