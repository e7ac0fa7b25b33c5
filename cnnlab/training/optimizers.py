"""Update rules, as TensorFlow 1's optimizers."""

from __future__ import annotations

from typing import Any

from cnnlab.config import Config
from cnnlab.tf1 import tf


def make_optimizer(config: Config, learning_rate: Any) -> Any:
    """The optimizer that the configuration names.

    adam: Kingma and Ba 2014 (arXiv 1412.6980), beta1 0.9, beta2 0.999, epsilon 1e-8.
    sgd: w -= learning_rate * gradient.

    Args:
        config: gives the optimizer's name.
        learning_rate: float32 scalar tensor.

    Returns:
        a `tf.train.Optimizer`.
    """
    optimizers = {"adam": tf.train.AdamOptimizer, "sgd": tf.train.GradientDescentOptimizer}
    return optimizers[config.optimizer](learning_rate)
