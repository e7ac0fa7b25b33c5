"""The time that each worker needs for its own part of a step, and the worker that is slow.

All workers end a step together, because they wait for the slowest one. So each one subtracts the
time in which it waited for the gradients of the others. What it waits for with --sync_bn, within
its own part, counts as its own work.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Final

from cnnlab.base.tf1 import tf
from cnnlab.run.hook import Hook, Run, StepState
from cnnlab.run.log import RunLog

SLOW: Final = 1.5  # times the time of the others
INTERVALS: Final = 3  # in a row, so that one disturbance does not count
_SHORTEST_SECS: Final = 1e-3  # of a step in which a difference means something


class StepTimesHook(Hook):
    """Writes the step time of each worker to TensorBoard, and names a worker that is slow."""

    def __init__(self, every_steps: int, log: RunLog) -> None:
        """Prepare to write.

        Args:
            every_steps: steps of an interval.
            log: receives the times, on the chief.
        """
        self.every_steps = every_steps
        self._log = log
        self._step, self._own_secs = 0, 0.0
        self._slow: dict[str, int] = {}

    def begin(self, run: Run) -> None:
        self._step, self._own_secs = run.step, -self._waited_secs(run)

    def after_step(self, run: Run, state: StepState) -> None:
        own_secs = state.step_secs - self._waited_secs(run)
        step_secs = max(0.0, own_secs - self._own_secs) / (state.step - self._step)
        self._step, self._own_secs = state.step, own_secs
        assert run.cluster is not None
        found = run.cluster.step_secs_of_all(step_secs)
        if not run.is_chief:
            return
        values = [
            tf.Summary.Value(tag=f"workers/step_secs/{number}", simple_value=secs)
            for number, secs in enumerate(found.values())
        ]
        self._log.write_summary("train", state.step, tf.Summary(value=values).SerializeToString())
        for line in self.slow_workers(found):
            run.say(f"step {state.step}: {line}")

    def slow_workers(self, step_secs: Mapping[str, float]) -> list[str]:
        """Return a line for each worker that has become slow.

        Args:
            step_secs: the times of an interval, by the workers' names.
        """
        lines = []
        for name, secs in step_secs.items():
            usual = statistics.median_low([step_secs[one] for one in step_secs if one != name])
            is_slow = secs > max(SLOW * usual, _SHORTEST_SECS)
            self._slow[name] = self._slow.get(name, 0) + 1 if is_slow else 0
            if self._slow[name] == INTERVALS:
                lines.append(
                    f"{name} is slow: {secs:.3g} s of own work a step, where the others need "
                    f"{usual:.3g} s; all wait for it"
                )
        return lines

    @staticmethod
    def _waited_secs(run: Run) -> float:
        return float(run.session.run(run.train_graph.waited_for_workers))
