"""Reduce the learning rate when validation no longer gets better.

The state is in three global variables, so that checkpoints hold it. A checkpoint of a step is saved
after that step's evaluation was counted; a run that is killed between the two goes on from an
earlier checkpoint, where the state is the earlier one too, and evaluates again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config


class Plateau(NamedTuple):
    """The schedule's state in a graph.

    rate: float32 scalar, the learning rate it has come to.
    figure_ph: float64 scalar, the figure of an evaluation, larger is better.
    update_op: counts that evaluation.
    """

    rate: Any
    figure_ph: Any
    update_op: Any


def build_plateau(config: Config) -> Plateau:
    """Add the state: best figure, evaluations since it, reductions.

    rate = max(R plateau_factor^reductions, plateau_min_rate). An evaluation that is not better than
    the best counts as one of patience; when there are plateau_patience of them in a row, the rate
    is reduced and counting starts again.
    """
    with tf.variable_scope("plateau", use_resource=True, reuse=tf.AUTO_REUSE):
        settings = {"shape": [], "trainable": False}
        best = tf.get_variable(
            "best", dtype=tf.float64, initializer=tf.constant_initializer(-1e300), **settings
        )
        zeros = tf.zeros_initializer()
        waited = tf.get_variable("waited", dtype=tf.int64, initializer=zeros, **settings)
        reductions = tf.get_variable("reductions", dtype=tf.int64, initializer=zeros, **settings)
        figure_ph = tf.placeholder(tf.float64, [], "figure_ph")
        is_better = figure_ph > best.read_value()
        wait = tf.where_v2(is_better, tf.constant(0, tf.int64), waited.read_value() + 1)
        is_over = wait >= config.plateau_patience
        with tf.control_dependencies([is_better, wait]):  # read before they are written
            update_op = tf.group(
                best.assign(tf.maximum(best.read_value(), figure_ph)),
                waited.assign(tf.where_v2(is_over, tf.zeros_like(wait), wait)),
                reductions.assign_add(tf.cast(is_over, tf.int64)),
            )
        factor = tf.cast(config.plateau_factor, tf.float32)
        rate = config.learning_rate * factor ** tf.cast(reductions.read_value(), tf.float32)
        rate = tf.maximum(rate, config.plateau_min_rate, name="rate")
    return Plateau(rate, figure_ph, update_op)
