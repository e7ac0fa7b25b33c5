"""The session loop: runs of fused steps, cut where a hook wants to act."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnlab.denormals import can_flush, flushing
from cnnlab.errors import NonFiniteError
from cnnlab.tf1 import naming_op_errors, on_calling_thread

if TYPE_CHECKING:
    from cnnlab.hooks import Hook
    from cnnlab.train import Train

TARGET_RUN_SECS = 0.1  # long enough that a run's fixed cost vanishes, short enough to stop at once
MAX_STEPS_PER_RUN = 1000
SHORT_STEP_SECS = 1e-3  # below, handing operations from thread to thread costs more than it gains


class StepState(NamedTuple):
    """What is known after a session run.

    step: steps made since the start of training.
    total_steps: where the run ends.
    loss: mean cross-entropy of the last step's batch, before its update.
    accuracy: of the same batch, in [0, 1].
    learning_rate: that the last step used.
    step_secs: time spent in training steps by this process.
    """

    step: int
    total_steps: int
    loss: float
    accuracy: float
    learning_rate: float
    step_secs: float


@dataclass
class RunPlan:
    """What the next session run is to be; hooks may change it.

    step: steps made so far.
    steps: how many the run makes; a hook may lower it, to 1 at least.
    arguments: further arguments of `session.run`: options, run_metadata.
    """

    step: int
    steps: int
    arguments: dict[str, Any] = field(default_factory=dict)


def is_time(step: int, every_steps: int, total_steps: int) -> bool:
    """Whether something done every `every_steps`, and at the end, is due after `step`."""
    return step % every_steps == 0 or step == total_steps


class Pacer:
    """Chooses how many steps a run makes, and on which threads; that changes nothing but the
    speed."""

    def __init__(self, steps_per_run: int | str) -> None:
        self._fixed = None if steps_per_run == "auto" else int(steps_per_run)
        self._steps = 1
        self._step_secs = math.inf

    def plan(self, step: int, total_steps: int, hooks: Sequence[Hook]) -> RunPlan:
        """The next run: no further than the end or a hook's next turn."""
        boundaries = [total_steps - step]
        boundaries += [hook.every_steps - step % hook.every_steps for hook in hooks]
        plan = RunPlan(step, min(self._fixed or self._steps, *boundaries))
        if self._step_secs < SHORT_STEP_SECS and can_flush():
            plan.arguments["options"] = on_calling_thread()
        return plan

    def learn(self, steps: int, secs: float) -> None:
        """Take a finished run's length into account."""
        self._step_secs = secs / steps
        aim = TARGET_RUN_SECS * steps / max(secs, 1e-9)
        # Doubling at most: the first runs include TensorFlow's own warm-up.
        self._steps = int(max(1, min(aim, 2 * self._steps, MAX_STEPS_PER_RUN)))


def run_steps(train: Train, hooks: Sequence[Hook], total_steps: int) -> None:
    """Train until `total_steps` are made or `train.stop()` was called.

    Raises:
        NonFiniteError: the loss is not finite; names the step.
    """
    graph, session = train.train_graph, train.session
    fetches = (
        graph.train_op,
        graph.objective,
        graph.train_loss,
        graph.train_accuracy,
        graph.learning_rate,
    )
    # What `session.run` looks up each time is looked up once.
    run = session.make_callable(fetches, [graph.steps_ph], accept_options=True)
    pacer = Pacer(train.config.steps_per_run)
    step, step_secs, state = train.step, 0.0, None
    while step < total_steps and not train.stopping:
        plan = pacer.plan(step, total_steps, hooks)
        for hook in hooks:
            hook.before_run(plan)
        started = time.perf_counter()
        with naming_op_errors(f"training after step {step}"), flushing():
            _, objective, loss, accuracy, learning_rate = run(plan.steps, **plan.arguments)
        secs = time.perf_counter() - started
        if not math.isfinite(objective):
            failed_step = int(session.run(graph.global_step))
            raise NonFiniteError(f"the loss is {objective} at step {failed_step}")
        pacer.learn(plan.steps, secs)
        step += plan.steps
        step_secs += secs
        state = StepState(
            step, total_steps, float(loss), float(accuracy), float(learning_rate), step_secs
        )
        for hook in hooks:
            if is_time(step, hook.every_steps, total_steps):
                hook.after_step(train, state)
        for hook in hooks:
            hook.after_run(train, state)
    if state is not None and step < total_steps:
        for hook in hooks:
            hook.after_stop(train, state)
