"""The session loop: session runs of one or more steps, each ending where the next hook acts."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cnnlab.base.denormals import can_flush, denormals_flushed
from cnnlab.base.errors import NonFiniteError
from cnnlab.base.periods import steps_until_due
from cnnlab.base.tf1 import on_calling_thread, translate_op_errors
from cnnlab.base.user_code import place_of
from cnnlab.run.hook import Hook, Run, RunPlan, StepState, is_time

# Long enough to make the fixed cost of a session run negligible, short enough to stop quickly.
TARGET_RUN_SECS = 0.1
# Several workers agree before each session run, and gather the logits after it.
TARGET_SHARED_RUN_SECS = 0.5
MAX_STEPS_PER_RUN = 1000
# In shorter steps, passing operations between threads costs more than running them in parallel.
SHORT_STEP_SECS = 1e-3


class Figures(NamedTuple):
    """What a session run returns; see `StepState`."""

    loss: float
    accuracy: float
    learning_rate: float
    waited_secs: float | None = None


class Pacer:
    """Chooses how many steps a session run makes, and on which threads.

    These choices change the speed and nothing else.
    """

    def __init__(self, steps_per_run: int | str, target_secs: float = TARGET_RUN_SECS) -> None:
        self._target_secs = target_secs
        self._fixed = None if steps_per_run == "auto" else int(steps_per_run)
        self._steps = 1
        self._step_secs = math.inf

    def plan(self, step: int, total_steps: int, hooks: Sequence[Hook]) -> RunPlan:
        """Return the next session run, which ends at the last step or the next hook's step."""
        boundaries = [total_steps - step]
        boundaries += [steps_until_due(step, hook.every_steps) for hook in hooks]
        plan = RunPlan(step, min(self._fixed or self._steps, *boundaries))
        if self._step_secs < SHORT_STEP_SECS and can_flush():
            plan.arguments["options"] = on_calling_thread()
        return plan

    def learn(self, steps: int, secs: float) -> None:
        """Choose the number of steps of the next session run by the time of the last one.

        Args:
            steps: number of steps that it made.
            secs: seconds that it took.
        """
        self._step_secs = secs / steps
        aim = self._target_secs * steps / max(secs, 1e-9)
        # At most twice as many: the first runs include TensorFlow's warm-up.
        self._steps = int(max(1, min(aim, 2 * self._steps, MAX_STEPS_PER_RUN)))


def run_steps(run: Run, hooks: Sequence[Hook], total_steps: int) -> None:
    """Train until `total_steps` are made or `run.stop()` was called.

    Args:
        run: the run, which has a session.
        hooks: called in this order, see `cnnlab.run.hook`; they have begun.
        total_steps: the last step of the run.

    Raises:
        NonFiniteError: the loss is not finite; names the step.
    """
    make_steps = _prepare_training(run)
    is_alone = run.cluster is None
    target_secs = TARGET_RUN_SECS if is_alone else TARGET_SHARED_RUN_SECS
    pacer = Pacer(run.config.steps_per_run, target_secs)
    step, step_secs, state = run.step, 0.0, None
    while step < total_steps and (run.cluster is not None or not run.control.is_stopping):
        plan = pacer.plan(step, total_steps, hooks)
        for hook in hooks:
            hook.before_run(plan)
        if run.cluster is not None and not run.cluster.agree(run.control, plan):
            break
        figures, secs = _run_session(run, make_steps, plan)
        pacer.learn(plan.steps, secs)
        step += plan.steps
        step_secs += secs
        state = StepState(step, total_steps, *figures[:3], step_secs, figures.waited_secs)
        _call_hooks(run, hooks, state)
    if state is not None and step < total_steps:
        for hook in hooks:
            hook.after_stop(run, state)


def _prepare_training(run: Run) -> Callable[..., Any]:
    """Return a function of the number of steps that makes them and returns the figures.

    It looks its tensors up once; `session.run` would do so in each call.
    """
    graph = run.train_graph
    fetches = (
        graph.train_op,
        graph.objective,
        graph.train_loss,
        graph.train_accuracy,
        graph.learning_rate,
        *(() if graph.waited is None else (graph.waited,)),
    )
    make_steps: Callable[..., Any]
    make_steps = run.session.make_callable(fetches, [graph.steps_ph], accept_options=True)
    return make_steps


def _run_session(run: Run, make_steps: Callable[..., Any], plan: RunPlan) -> tuple[Figures, float]:
    """Make the planned steps.

    Returns:
        the figures of the last step; and the seconds that the steps took.

    Raises:
        NonFiniteError: the loss is not finite; names the step.
    """
    watched = contextlib.nullcontext() if run.cluster is None else run.cluster.steps_watched(plan)
    started = time.perf_counter()
    with translate_op_errors(f"training after step {plan.step}"), watched, denormals_flushed():
        _, objective, *figures = make_steps(plan.steps, **plan.arguments)
    secs = time.perf_counter() - started
    if not math.isfinite(objective):
        failed_step = int(run.session.run(run.train_graph.global_step))
        own = run.train_graph.parts.loss
        loss = "the loss" if own is None else f"the loss of {place_of(own)}"
        raise NonFiniteError(f"{loss} is {objective} at step {failed_step}")
    return Figures(*map(float, figures)), secs


def _call_hooks(run: Run, hooks: Sequence[Hook], state: StepState) -> None:
    """Call `after_step` of the hooks whose step it is, then `after_run` of all hooks."""
    for hook in hooks:
        if is_time(state.step, hook.every_steps, state.total_steps):
            hook.after_step(run, state)
    for hook in hooks:
        hook.after_run(run, state)
