"""The initializers by name.

They have no seeds. While the network is built, each gets a seed that is derived from the run's seed
and the name of its variable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.tf1 import tf


def _scaled(scale: float, mode: str, distribution: str) -> Any:
    """Return an initializer with mean 0 and variance scale / fan; mode: which fan."""
    return tf.variance_scaling_initializer(scale=scale, mode=mode, distribution=distribution)


class Dirac:
    """An initializer under which a convolution starts partly as the identity.

    Each of the first in_channels filters passes one channel unchanged. The other filters start
    uniform in +-1 / sqrt(fan_in), which is PyTorch's default. So do the kernels of dense layers.

    Keller Jordan 2024 (arXiv 2404.00498), section 3.3. `torch.nn.init.dirac_` sets the other
    filters to zero, but with a relu after them these would never learn.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `from_config`."""
        return {"seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Dirac:
        """Return an initializer with the seed in `config`."""
        return cls(**config)

    def __call__(
        self, shape: Any, dtype: Any = None, partition_info: Any = None, **_kwargs: Any
    ) -> Any:
        """Return the start of a kernel.

        Args:
            shape: [..., in_channels, out_channels] of the kernel.
            dtype: default: float32.
            partition_info: unused.
        """
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
_ONES: Final = "ones"  # for gammas and variances; as the start of a kernel, it would learn nothing


def find_initializer(name: str, stddev: float = 0.01) -> Any:
    """Return a new initializer of a name.

    Args:
        name: a key of INITIALIZERS, or ones.
        stddev: standard deviation (>= 0) of normal and truncated_normal. The others do not use it.

    Raises:
        UsageError: there is no initializer of this name. The message suggests the nearest name.
    """
    if name == _ONES:
        return tf.ones_initializer()
    if name not in INITIALIZERS:
        hint = nearest(name, INITIALIZERS) or f"; known: {', '.join(INITIALIZERS)}"
        raise UsageError(f"unknown initializer {name}{hint}")
    return INITIALIZERS[name](stddev)
