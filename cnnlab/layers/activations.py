"""Activations by name: functions of float tensors of any shape."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.tf1 import tf
from cnnlab.layers import tower as towers

LEAK = 0.01  # slope of leaky relu below 0
_GELU: Final = "GeluOfArgument"

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "sigmoid": lambda x: tf.nn.sigmoid(x),
    "tanh": lambda x: tf.nn.tanh(x),
    "relu": lambda x: tf.nn.relu(x),
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, LEAK),
    "elu": lambda x: tf.nn.elu(x),  # Clevert et al. 2015 (arXiv 1511.07289)
    "selu": lambda x: tf.nn.selu(x),  # Klambauer et al. 2017 (arXiv 1706.02515)
    "softplus": lambda x: tf.nn.softplus(x),
    "gelu": lambda x: _gelu(x),
    "swish": lambda x: x * tf.nn.sigmoid(x),  # Ramachandran et al. 2017 (arXiv 1710.05941)
    "softmax": lambda x: tf.nn.softmax(x),  # over the last axis
}


def _gelu(x: Any) -> Any:
    """x times the normal distribution function of x (Hendrycks and Gimpel 2016, arXiv 1606.08415,
    the exact form)."""
    distribution = 0.5 + 0.5 * tf.math.erf(x * 0.5**0.5)
    if not towers.is_training():
        return x * distribution  # a graph that is exported has no gradients of ours
    _register()
    with tf.get_default_graph().gradient_override_map({"Mul": _GELU}):
        return x * distribution


@functools.cache
def _register() -> None:
    tf.RegisterGradient(_GELU)(_gelu_gradient)


def _gelu_gradient(op: Any, gradient: Any) -> Any:
    """All of it to x: TensorFlow's own goes through more arrays, and keeps four where this keeps
    two."""
    x, distribution = op.inputs
    density = tf.exp(tf.square(x) * -0.5) * (2 * math.pi) ** -0.5
    return gradient * (distribution + x * density), None


def find_activation(name: str) -> Callable[[Any], Any]:
    """The activation of that name.

    Raises:
        UsageError: no such activation; the nearest is named.
    """
    if name not in ACTIVATIONS:
        hint = nearest(name, ACTIVATIONS) or f"; known: {', '.join(ACTIVATIONS)}"
        raise UsageError(f"unknown activation {name}{hint}")
    return ACTIVATIONS[name]
