"""The initializers and regularizers of `tf.contrib.layers`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from cnnlab.base.tf1 import tf

Tensor = Any


def xavier_initializer(uniform: bool = True, seed: Any = None, dtype: Any = None) -> Any:
    """Return the initializer of Glorot and Bengio 2010."""
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


def variance_scaling_initializer(
    factor: float = 2.0,
    mode: str = "FAN_IN",
    uniform: bool = False,
    seed: Any = None,
    dtype: Any = None,
) -> Any:
    """Return the initializer with variance factor / fan.

    For a truncated normal distribution, the variance before it is truncated is 1.3 * factor / fan,
    as tf.contrib.layers had it.
    """
    kind = dtype or tf.float32

    def initialize(shape: Any, dtype: Any = kind, partition_info: Any = None) -> Tensor:
        sizes = [int(size) for size in shape]
        fan_in = float(sizes[-2] if len(sizes) > 1 else sizes[-1]) if sizes else 1.0
        fan_out = float(sizes[-1]) if sizes else 1.0
        area = math.prod(sizes[:-2])
        fans = {
            "FAN_IN": fan_in * area,
            "FAN_OUT": fan_out * area,
            "FAN_AVG": (fan_in * area + fan_out * area) / 2,
        }
        variance = factor / fans[mode]
        if uniform:
            limit = math.sqrt(3.0 * variance)
            return tf.random_uniform(sizes, -limit, limit, dtype or kind, seed=seed)
        return tf.truncated_normal(sizes, 0.0, math.sqrt(1.3 * variance), dtype or kind, seed=seed)

    if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
        raise TypeError(f"Unknown mode {mode} [FAN_IN, FAN_OUT, FAN_AVG]")
    return initialize


def l1_regularizer(scale: float, scope: str | None = None) -> Any:
    """Return the penalty scale * sum(abs(weights)); for scale 0, none."""
    return _regularizer(scale, scope, "l1_regularizer", lambda w: tf.reduce_sum(tf.abs(w)))


def l2_regularizer(scale: float, scope: str | None = None) -> Any:
    """Return the penalty scale * sum(weights ** 2) / 2; for scale 0, none."""
    return _regularizer(scale, scope, "l2_regularizer", tf.nn.l2_loss)


def _regularizer(
    scale: float, scope: str | None, name: str, penalty: Callable[[Tensor], Tensor]
) -> Any:
    if isinstance(scale, int):
        raise ValueError(f"scale cannot be an integer: {scale}")
    if scale < 0:
        raise ValueError(f"Setting a scale less than 0 on a regularizer: {scale:g}")

    def regularize(weights: Tensor, name: str = name) -> Tensor:
        if scale == 0.0:
            return None
        with tf.name_scope(scope, name, [weights]) as inner:
            return tf.multiply(
                tf.convert_to_tensor(scale, weights.dtype.base_dtype), penalty(weights), name=inner
            )

    return regularize


def l1_l2_regularizer(
    scale_l1: float = 1.0, scale_l2: float = 1.0, scope: str | None = None
) -> Any:
    """Return the sum of both penalties."""
    return sum_regularizer([l1_regularizer(scale_l1), l2_regularizer(scale_l2)], scope)


def sum_regularizer(regularizer_list: Sequence[Any], scope: str | None = None) -> Any:
    """Return the sum of penalties."""
    given = [each for each in regularizer_list if each is not None]

    def regularize(weights: Tensor) -> Tensor:
        with tf.name_scope(scope, "sum_regularizer", [weights]) as inner:
            penalties = [each(weights) for each in given]
            penalties = [each for each in penalties if each is not None]
            return tf.add_n(penalties, name=inner) if penalties else None

    return regularize if given else None


def apply_regularization(regularizer: Any, weights_list: Any = None) -> Tensor:
    """Return the sum of the penalties of weights, which REGULARIZATION_LOSSES gets too."""
    weights = weights_list or tf.get_collection(tf.GraphKeys.WEIGHTS)
    penalties = [penalty for each in weights if (penalty := regularizer(each)) is not None]
    total = tf.add_n(penalties) if penalties else tf.constant(0.0)
    tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, total)
    return total
