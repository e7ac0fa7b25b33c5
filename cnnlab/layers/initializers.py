"""Initializers by name. None has a seed of its own: the tower seeds each by its variable's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.tf1 import tf


def _scaled(scale: float, mode: str, distribution: str) -> Any:
    return tf.variance_scaling_initializer(scale=scale, mode=mode, distribution=distribution)


class Dirac:
    """The first in_channels filters of a convolution pass one channel on each, unchanged; the rest,
    and other kernels, are uniform in +-1 / sqrt(fan_in), PyTorch's default.

    As in the airbench networks (Keller Jordan 2024, arXiv 2404.00498); `torch.nn.init.dirac_` fills
    the rest with zeros, which a relu would never let learn.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {"seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Dirac:
        """The initializer of that seed."""
        return cls(**config)

    def __call__(
        self, shape: Any, dtype: Any = None, partition_info: Any = None, **_kwargs: Any
    ) -> Any:
        """The start of a kernel [..., in_channels, out_channels]."""
        del partition_info
        *window, inputs, outputs = (int(length) for length in shape)
        limit = 1 / np.sqrt(np.prod(window) * inputs)
        start = tf.random_uniform(shape, -limit, limit, dtype or tf.float32, seed=self.seed)
        if not window:
            return start
        passed = min(inputs, outputs)
        around = [(length // 2, length - 1 - length // 2) for length in window]
        identity = tf.reshape(
            tf.eye(inputs, passed, dtype=start.dtype), [1] * len(window) + [inputs, passed]
        )
        identity = tf.pad(identity, [*around, (0, 0), (0, 0)])
        return tf.concat([identity, start[..., passed:]], axis=-1)


INITIALIZERS: dict[str, Callable[[float], Any]] = {
    "zeros": lambda _stddev: tf.zeros_initializer(),
    "normal": lambda stddev: tf.random_normal_initializer(stddev=stddev),
    "truncated_normal": lambda stddev: tf.truncated_normal_initializer(stddev=stddev),
    # Glorot and Bengio 2010: variance 2 / (fan_in + fan_out).
    "glorot_uniform": lambda _stddev: tf.glorot_uniform_initializer(),
    "glorot_normal": lambda _stddev: tf.glorot_normal_initializer(),
    # He et al. 2015 (arXiv 1502.01852): variance 2 / fan_in.
    "he_uniform": lambda _stddev: _scaled(2.0, "fan_in", "uniform"),
    "he_normal": lambda _stddev: _scaled(2.0, "fan_in", "truncated_normal"),
    # LeCun et al. 1998: variance 1 / fan_in.
    "lecun_normal": lambda _stddev: _scaled(1.0, "fan_in", "truncated_normal"),
    # Saxe et al. 2013 (arXiv 1312.6120).
    "orthogonal": lambda _stddev: tf.orthogonal_initializer(),
    "dirac": lambda _stddev: Dirac(),
}


def find_initializer(name: str, stddev: float = 0.01) -> Any:
    """The initializer of that name.

    Args:
        name: of INITIALIZERS.
        stddev: of normal and truncated_normal; the other names have none.

    Raises:
        UsageError: no such initializer; the nearest is named.
    """
    if name not in INITIALIZERS:
        hint = nearest(name, INITIALIZERS) or f"; known: {', '.join(INITIALIZERS)}"
        raise UsageError(f"unknown initializer {name}{hint}")
    return INITIALIZERS[name](stddev)
