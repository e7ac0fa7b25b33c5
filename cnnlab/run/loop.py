"""The session loop: runs of fused steps, cut where a hook wants to act."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from cnnlab.base.denormals import can_flush, denormals_flushed
from cnnlab.base.errors import NonFiniteError
from cnnlab.base.tf1 import on_calling_thread, translate_op_errors
from cnnlab.run.hook import Hook, Run, RunPlan, StepState, is_time

TARGET_RUN_SECS = 0.1  # long enough that a run's fixed cost vanishes, short enough to stop at once
MAX_STEPS_PER_RUN = 1000
SHORT_STEP_SECS = 1e-3  # below, handing operations from thread to thread costs more than it gains


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


def run_steps(train: Run, hooks: Sequence[Hook], total_steps: int) -> None:
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
    while step < total_steps and not train.control.is_stopping:
        plan = pacer.plan(step, total_steps, hooks)
        for hook in hooks:
            hook.before_run(plan)
        started = time.perf_counter()
        with translate_op_errors(f"training after step {step}"), denormals_flushed():
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
