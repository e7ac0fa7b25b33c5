"""Averages of the weights, which evaluation may use instead of the weights themselves.

All variables of the network are averaged, the moving averages of batch norm too. An average is a
global variable, so every checkpoint holds it: `ema/NAME` or `lookahead/NAME`.
"""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.layers.variables import FROZEN, HELD, average_name


def network_variables() -> list[Any]:
    """Return the network's own variables in the default graph.

    Call it before training adds its variables.
    """
    others = ("global_step", "ema/", "lookahead/", "input_statistics/")
    return [
        variable for variable in tf.global_variables() if not variable.op.name.startswith(others)
    ]


def updated_by_passes(variables: list[Any]) -> list[Any]:
    """Return the variables that a pass may update without a gradient, as moving averages.

    Args:
        variables: the network's.
    """
    left = [*tf.trainable_variables(), *tf.get_collection(FROZEN), *tf.get_collection(HELD)]
    names = {variable.op.name for variable in left}
    return [one for one in variables if one.op.name not in names and one.dtype.is_floating]


class Averages:
    """The averages that the options ask for, as variables of the default graph."""

    def __init__(self, config: Config, variables: list[Any], total_steps: int) -> None:
        """Make the variables; each starts with the value of its weight.

        Args:
            config: gives ema_decay and the options of lookahead.
            variables: the network's; those of integers and of the collection FROZEN get no
                average.
            total_steps: T, for lookahead_ramp.
        """
        self._config = config
        frozen = {variable.op.name for variable in tf.get_collection(FROZEN)}
        self._variables = [v for v in variables if v.op.name not in frozen and v.dtype.is_floating]
        self._total_steps = total_steps
        self._ema = self._make("ema") if config.ema_decay is not None else []
        self._slow = self._make("lookahead") if config.lookahead_steps is not None else []

    def _make(self, average: str) -> list[Any]:
        with tf.variable_scope("", use_resource=True, reuse=tf.AUTO_REUSE):
            return [
                tf.get_variable(
                    average_name(average, variable.op.name),
                    initializer=variable.initial_value,
                    trainable=False,
                )
                for variable in self._variables
            ]

    def build_update(self, step: Any, update_op: Any) -> Any:
        """Add the updates of the averages after the update of the weights: lookahead, then ema.

        Args:
            step: int64 scalar, 0 for the first update.
            update_op: updates the weights.

        Returns:
            an op that runs all of it.
        """
        if self._slow:
            update_op = self._update_lookahead(step, update_op)
        if self._ema:
            update_op = self._update_ema(step, update_op)
        return update_op

    def _update_ema(self, step: Any, update_op: Any) -> Any:
        """Add a -= (1 - d) (a - w), with d = min(ema_decay, (1 + s) / (10 + s)).

        This is `tf.train.ExponentialMovingAverage` with num_updates. Early on, d is small, so the
        initial weights are soon forgotten.
        """
        s = tf.cast(step, tf.float32)
        decay = tf.minimum(self._config.ema_decay, (1 + s) / (10 + s))
        with tf.control_dependencies([update_op]):
            pairs = zip(self._ema, self._variables, strict=True)
            updates = [
                average.assign_sub((1 - decay) * (average.read_value() - variable.read_value()))
                for average, variable in pairs
            ]
        return tf.group(*updates)

    def _update_lookahead(self, step: Any, update_op: Any) -> Any:
        """Add lookahead with the ramp of airbench94.

        Zhang et al. 2019 (arXiv 1907.08610); the ramp: Jordan 2024 (arXiv 2404.00498, section 3.4).
        """
        decay = tf.constant(self._config.lookahead_decay, tf.float32)
        if self._config.lookahead_ramp:
            share = tf.cast(step + 1, tf.float32) / float(self._total_steps)
            decay *= tf.minimum(share, 1.0) ** 3

        def meet() -> Any:
            updates = []
            for slow, fast in zip(self._slow, self._variables, strict=True):
                met = decay * slow.read_value() + (1 - decay) * fast.read_value()
                updates += [slow.assign(met), fast.assign(met)]
            return tf.group(*updates)

        with tf.control_dependencies([update_op]):
            is_due = tf.equal(tf.math.floormod(step + 1, self._config.lookahead_steps), 0)
            return tf.cond(is_due, meet, tf.no_op)
