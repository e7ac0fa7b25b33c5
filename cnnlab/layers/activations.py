"""The activations by name. Each is a function from a float tensor to one of the same shape."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.tf1 import tf
from cnnlab.layers import tower as towers

LEAK = 0.01  # the slope of leaky relu below 0
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
    """Return x * Phi(x), where Phi is the cumulative distribution function of N(0, 1).

    Hendrycks and Gimpel 2016 (arXiv 1606.08415), section 2: the exact form, not an approximation.
    """
    if towers.is_as_written() and not towers.is_training():
        return 0.5 * x * (1.0 + tf.math.erf(x * 0.5**0.5))  # the form that converters recognise
    distribution = 0.5 + 0.5 * tf.math.erf(x * 0.5**0.5)
    if not towers.is_training():
        return x * distribution  # an exported graph must not refer to our gradient function
    _register()
    with tf.get_default_graph().gradient_override_map({"Mul": _GELU}):
        return x * distribution


@functools.cache
def _register() -> None:
    """Register the gradient of gelu, which TensorFlow allows only once."""
    tf.RegisterGradient(_GELU)(_gelu_gradient)


def _gelu_gradient(op: Any, gradient: Any) -> Any:
    """Return the gradient with respect to x: gradient * (Phi(x) + x * phi(x)).

    The whole gradient goes to x, and none to the factor Phi(x). TensorFlow's own gradient passes
    through more arrays. It keeps four of them until the backward pass; this one keeps two.
    """
    x, distribution = op.inputs
    density = tf.exp(tf.square(x) * -0.5) * (2 * math.pi) ** -0.5
    return gradient * (distribution + x * density), None


def find_activation(name: str) -> Callable[[Any], Any]:
    """Return the activation of a name.

    Args:
        name: a key of ACTIVATIONS.

    Returns:
        A function from a float tensor to a float tensor of the same shape.

    Raises:
        UsageError: there is no activation of this name. The message suggests the nearest name.
    """
    if name not in ACTIVATIONS:
        hint = nearest(name, ACTIVATIONS) or f"; known: {', '.join(ACTIVATIONS)}"
        raise UsageError(f"unknown activation {name}{hint}")
    return ACTIVATIONS[name]
