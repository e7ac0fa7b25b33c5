"""Learning-rate schedules; `SCHEDULE_FORMULAS` of config/update_options.py has the formulas.

R is learning_rate, E is end_factor R, s is the step (0 for the first update), and T is the length
of the schedule.
"""

from __future__ import annotations

import math
from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config


def learning_rate_at(
    config: Config, step: Any, total_steps: int | None = None, plateau_rate: Any = None
) -> Any:
    """Return the learning rate of the update of `step`.

    Args:
        config: gives the schedule and its options.
        step: int64 scalar, 0 for the first update.
        total_steps: T in steps; for schedules that depend on it.
        plateau_rate: float32 scalar, the current rate of the schedule plateau.

    Returns:
        float32 scalar, >= 0.
    """
    warmup_steps = config.warmup_steps
    if not warmup_steps:
        return _scheduled(config, step, total_steps, plateau_rate)
    length = None if total_steps is None else max(total_steps - warmup_steps, 1)
    after = _scheduled(config, tf.maximum(step - warmup_steps, 0), length, plateau_rate)
    share = tf.cast(step + 1, tf.float32) / warmup_steps  # 1 when s = W - 1
    return tf.where_v2(step < warmup_steps, config.learning_rate * share, after)


def _scheduled(config: Config, step: Any, total_steps: int | None, plateau_rate: Any) -> Any:
    if config.schedule == "constant":
        return tf.constant(config.learning_rate, tf.float32)
    if config.schedule == "exponential":
        return tf.train.exponential_decay(
            config.learning_rate,
            step,
            config.decay_steps,
            config.decay_rate,
            staircase=config.staircase,
        )
    if config.schedule == "plateau":
        return plateau_rate
    assert total_steps is not None
    return SCHEDULES[config.schedule](config, tf.cast(step, tf.float32), total_steps)


def polynomial(config: Config, step: Any, total_steps: int, power: float | None = None) -> Any:
    """Return E + (R - E) (1 - min(s, T) / T)^p; s: float32 scalar."""
    left = 1 - tf.minimum(step / total_steps, 1.0)
    return _between(config, left ** (config.decay_power if power is None else power))


def quadratic(config: Config, step: Any, total_steps: int) -> Any:
    """Return E + (R - E) (1 - min(s, T) / T)^2; s: float32 scalar."""
    return polynomial(config, step, total_steps, power=2.0)


def cosine(config: Config, step: Any, total_steps: int) -> Any:
    """Return E + (R - E) (1 + cos(pi min(s, T) / T)) / 2; s: float32 scalar.

    Loshchilov and Hutter 2016 (arXiv 1608.03983).
    """
    return _between(config, (1 + tf.cos(math.pi * tf.minimum(step / total_steps, 1.0))) / 2)


def one_cycle(config: Config, step: Any, total_steps: int) -> Any:
    """Return a rate that rises from start_factor R to R at peak_at T, then falls to E at T.

    Both parts are linear; s: float32 scalar. After Smith 2017 (arXiv 1708.07120).
    """
    share = tf.minimum(step / total_steps, 1.0)
    rising = config.start_factor + (1 - config.start_factor) * share / config.peak_at
    falling = 1 - (1 - config.end_factor) * (share - config.peak_at) / (1 - config.peak_at)
    return config.learning_rate * tf.where_v2(share < config.peak_at, rising, falling)


def piecewise(config: Config, step: Any, total_steps: int) -> Any:
    """Return R times the factor of the last boundary that the step has reached."""
    factors = config.boundary_factors or [0.1 ** (i + 1) for i in range(len(config.boundaries))]
    rate = tf.constant(config.learning_rate, tf.float32)
    for boundary, factor in zip(config.boundaries, factors, strict=True):
        # A share becomes a whole step here, because 1/3 of 300 in float32 is not 100.
        start = math.ceil(boundary * total_steps - 1e-6) if boundary < 1 else boundary
        rate = tf.where_v2(step >= start, tf.constant(config.learning_rate * factor), rate)
    return rate


def _between(config: Config, share: Any) -> Any:
    """Return E where share is 0, and R where it is 1; linear between."""
    end = config.end_factor
    return config.learning_rate * (end + (1 - end) * share)


SCHEDULES = {
    "polynomial": polynomial,
    "quadratic": quadratic,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "piecewise": piecewise,
}
