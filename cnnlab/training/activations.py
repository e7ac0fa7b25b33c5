"""Activations by name: functions of float tensors of any shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.errors import UsageError
from cnnlab.options import nearest
from cnnlab.tf1 import tf

LEAK = 0.01  # slope of leaky relu below 0

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "sigmoid": lambda x: tf.nn.sigmoid(x),
    "tanh": lambda x: tf.nn.tanh(x),
    "relu": lambda x: tf.nn.relu(x),
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, LEAK),
    "elu": lambda x: tf.nn.elu(x),  # Clevert et al. 2015 (arXiv 1511.07289)
    "selu": lambda x: tf.nn.selu(x),  # Klambauer et al. 2017 (arXiv 1706.02515)
    "softplus": lambda x: tf.nn.softplus(x),
    # Hendrycks and Gimpel 2016 (arXiv 1606.08415), the exact form.
    "gelu": lambda x: 0.5 * x * (1 + tf.math.erf(x * 0.5**0.5)),
    "swish": lambda x: x * tf.nn.sigmoid(x),  # Ramachandran et al. 2017 (arXiv 1710.05941)
    "softmax": lambda x: tf.nn.softmax(x),  # over the last axis
}


def find_activation(name: str) -> Callable[[Any], Any]:
    """The activation of that name.

    Raises:
        UsageError: no such activation; the nearest is named.
    """
    if name not in ACTIVATIONS:
        hint = nearest(name, ACTIVATIONS) or f"; known: {', '.join(ACTIVATIONS)}"
        raise UsageError(f"unknown activation {name}{hint}")
    return ACTIVATIONS[name]
