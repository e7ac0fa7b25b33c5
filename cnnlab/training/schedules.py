"""Learning rates as functions of the step."""

from __future__ import annotations

from typing import Any

from cnnlab.config import Config
from cnnlab.tf1 import tf


def learning_rate_at(config: Config, step: Any) -> Any:
    """The rate that the update of `step` uses.

    exponential: rate * decay_rate ** floor(step / decay_steps); constant: rate.

    Args:
        config: gives schedule, learning_rate, decay_steps and decay_rate.
        step: int64 scalar, 0 for the first update.

    Returns:
        float32 scalar, > 0.
    """
    if config.schedule == "constant":
        return tf.constant(config.learning_rate, tf.float32)
    return tf.train.exponential_decay(
        config.learning_rate, step, config.decay_steps, config.decay_rate, staircase=True
    )
