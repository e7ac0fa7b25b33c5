"""Muon: momentum with an orthogonal update of each convolution kernel.

Keller Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/), as in the Muon variant of
airbench94. For a kernel w seen as a matrix [out_channels, height width in_channels]:

    m = momentum m + g
    u = g + momentum m
    w = w sqrt(out_channels) / |w|
    w -= r orthogonal(u)

where orthogonal() brings all singular values near 1 by three Newton-Schulz steps.
"""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config

MOMENTUM = 0.6
MOMENTUM_OF_REST = 0.85  # of Nesterov momentum for weights that are not convolution kernels
NEWTON_SCHULZ_STEPS = 3
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
EPSILON = 1e-7


def orthogonalize(matrix: Any) -> Any:
    """Bring the singular values of a matrix near 1, by three Newton-Schulz steps.

    Each step is X <- a X + (b X X' + c (X X')^2) X.

    Args:
        matrix: float32 [rows, columns].

    Returns:
        float32 [rows, columns].
    """
    a, b, c = COEFFICIENTS
    rows, columns = matrix.shape.as_list()
    x = matrix / (tf.norm(matrix) + EPSILON)
    x = tf.transpose(x) if rows > columns else x
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = tf.matmul(x, x, transpose_b=True)
        x = a * x + tf.matmul(b * square + c * tf.matmul(square, square), x)
    return tf.transpose(x) if rows > columns else x


def muon_update(kernel: Any, gradient: Any, momentum: Any, rate: Any, decay: float) -> Any:
    """Return the new kernel and the new momentum.

    Args:
        kernel, gradient, momentum: float32 [height, width, in, out].
        rate: float32 scalar, the learning rate.
        decay: of the momentum, in [0, 1).
    """
    new_momentum = decay * momentum + gradient
    update = gradient + decay * new_momentum
    outputs = kernel.shape.as_list()[-1]
    flat = tf.transpose(tf.reshape(update, [-1, outputs]))  # [out, h w in]
    orthogonal = tf.reshape(tf.transpose(orthogonalize(flat)), kernel.shape)
    # A kernel of zeros has no direction to keep.
    scaled = kernel * tf.math.divide_no_nan(float(outputs) ** 0.5, tf.norm(kernel))
    return scaled - rate * orthogonal, new_momentum


def make_muon(config: Config, learning_rate: Any) -> Any:
    """Return a `tf.train.Optimizer` for convolution kernels; its slot is named Muon.

    Args:
        config: gives momentum; default: 0.6.
        learning_rate: float32 scalar tensor.
    """
    decay = MOMENTUM if config.momentum is None else config.momentum

    class Muon(tf.train.Optimizer):
        def __init__(self) -> None:
            super().__init__(use_locking=False, name="Muon")

        def _create_slots(self, var_list: list[Any]) -> None:
            for variable in var_list:
                self._zeros_slot(variable, "momentum", self._name)

        def _resource_apply_dense(self, grad: Any, handle: Any) -> Any:
            slot = self.get_slot(handle, "momentum")
            kernel, momentum = muon_update(
                handle.read_value(), grad, slot.read_value(), learning_rate, decay
            )
            with tf.control_dependencies([kernel, momentum]):
                return tf.group(handle.assign(kernel), slot.assign(momentum))

    return Muon()
