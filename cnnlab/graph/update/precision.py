"""The loss scale of `--precision=float16`.

Gradients below 6e-8 are zero in float16. So the loss is multiplied by a scale before it is
differentiated, and the gradients, in float32 again, are divided by it (Micikevicius et al. 2018,
arXiv 1710.03740, section 3.2). bfloat16 has the exponents of float32 and needs no scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.base.tf1 import tf

FIRST_SCALE = 2.0**15
MAX_SCALE = 2.0**24
GROWTH_STEPS = 2000  # finite steps in a row after which the scale is doubled


class LossScale:
    """The factor on the loss, which adapts itself.

    It is doubled after `GROWTH_STEPS` steps in a row with finite gradients. It is halved after a
    step whose gradients are not finite; that step changes no weight. At 1 it is not halved: the
    step is made, and the weights become non-finite too, which the run reports.

    Scale and count are global variables, so a resumed run has them.
    """

    def __init__(self) -> None:
        """Make the variables in the default graph."""
        with tf.variable_scope("loss_scale", use_resource=True):
            self._scale = tf.get_variable(
                "scale", [], tf.float32, tf.constant_initializer(FIRST_SCALE), trainable=False
            )
            self._finite_steps = tf.get_variable(
                "finite_steps", [], tf.int64, tf.zeros_initializer(), trainable=False
            )

    def gradients(self, objective: Any, variables: list[Any]) -> list[Any]:
        """Return the gradients, computed at the scale; None where a variable is not used."""
        scale = self._scale.read_value()
        scaled = tf.gradients(objective * scale, variables)
        return [None if gradient is None else gradient / scale for gradient in scaled]

    def build_update(
        self, gradients: list[Any], build_update: Callable[[], Any], global_step: Any
    ) -> Any:
        """Add the update of the scale, and that of the weights if the gradients are finite.

        Args:
            gradients: of each variable; None where there is none.
            build_update: adds the update of the weights and of the global step.
            global_step: counts skipped steps too, because the input stream has advanced.

        Returns:
            an op that runs both.
        """
        are_finite = tf.reduce_all(
            [tf.reduce_all(tf.is_finite(g)) for g in gradients if g is not None]
        )
        scale, finite_steps = self._scale.read_value(), self._finite_steps.read_value() + 1

        def update() -> Any:
            with tf.name_scope("optimizer"):  # a branch has its own graph, without this scope
                return build_update()

        update_op = tf.cond(
            tf.logical_or(are_finite, scale <= 1), update, lambda: global_step.assign_add(1).op
        )
        is_due = tf.logical_and(are_finite, finite_steps >= GROWTH_STEPS)
        grown = tf.where(is_due, tf.minimum(scale * 2, MAX_SCALE), scale)
        stays = tf.logical_and(are_finite, tf.logical_not(is_due))
        return tf.group(
            update_op,
            self._scale.assign(tf.where(are_finite, grown, tf.maximum(scale / 2, 1))),
            self._finite_steps.assign(tf.where(stays, finite_steps, tf.zeros_like(finite_steps))),
        )
