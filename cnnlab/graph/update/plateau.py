"""The schedule plateau: reduce the learning rate when validation no longer improves.

The state is in three global variables, so checkpoints hold it. `PlateauListener` says when a
resumed run computes it again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config


class Plateau(NamedTuple):
    """The state of the schedule in a graph.

    rate: float32 scalar, the current learning rate.
    figure_ph: float64 scalar, the monitored figure of an evaluation; larger is better.
    update_op: counts that evaluation.
    variables: the state; their initial values mean that nothing was counted yet.
    """

    rate: Any
    figure_ph: Any
    update_op: Any
    variables: tuple[Any, ...]


def build_plateau(config: Config) -> Plateau:
    """Add the state: the best figure, the evaluations since then, and the number of reductions.

    rate = max(R plateau_factor^reductions, plateau_min_rate). After plateau_patience evaluations in
    a row that are not better than the best, the rate is reduced and counting starts again.
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
    return Plateau(rate, figure_ph, update_op, (best, waited, reductions))
