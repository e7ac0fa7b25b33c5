"""The learning rate of each step: the schedule, lowered by the rollbacks."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.graph.own_results import Own, own_rate
from cnnlab.graph.update.plateau import build_plateau
from cnnlab.graph.update.schedules import learning_rate_at


class LearningRate:
    """The learning rate as a function of the step.

    Attributes:
        rollbacks: int64 scalar variable, rollbacks so far; None unless configured. As a variable
            it is in every checkpoint, so a resumed run keeps the lowered rate.
        plateau: the state of the schedule plateau; None with another schedule.
    """

    def __init__(self, config: Config, total_steps: int, own: Own | None = None) -> None:
        """Add the variables to the default graph.

        Args:
            config: gives the schedule, its options and what happens at a rollback.
            total_steps: T, the length of the schedule.
            own: the user's function, where the option schedule names one.
        """
        self._config, self._total_steps, self._own = config, total_steps, own
        self.rollbacks: Any = None
        if config.on_nan == "rollback":
            self.rollbacks = tf.get_variable(
                "rollbacks", [], tf.int64, tf.zeros_initializer(), trainable=False
            )
        self.plateau = build_plateau(config) if config.schedule == "plateau" else None

    def at(self, step: Any) -> Any:
        """Return the learning rate, float32 scalar, of a step: int64 scalar, 0 for the first."""
        if self._own is not None:
            rate = own_rate(self._own, step)
        else:
            plateau_rate = None if self.plateau is None else self.plateau.rate
            rate = learning_rate_at(self._config, step, self._total_steps, plateau_rate)
        if self.rollbacks is None:
            return rate
        count = tf.cast(self.rollbacks.read_value(), tf.float32)
        return rate * tf.pow(self._config.rollback_factor, count)
