"""Hooks, which act between training steps, and the view of the run that they get.

The loop calls every hook in the order of the list:

    build(run)                        once, when the graph is built, before it is finalized
    begin(run)                        once, before the first step of this process
    while there are steps to make:
        before_run(plan)              before each session run, which makes one or more steps
        (the session run)
        after_evaluation(run, figures)  after each evaluation on the validation set
        after_step(run, state)        after each multiple of every_steps, and after the last step
        after_run(run, state)         after each session run
    after_stop(run, state)            once, if the run was stopped before its last step
    end(run)                          once, also after an error
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from cnnlab.base.periods import Period, is_due
from cnnlab.config.config import Config
from cnnlab.data.training_data import TrainingData
from cnnlab.graph.training_graph import TrainGraph
from cnnlab.run.control import Control


class Workers(Protocol):
    """All workers of a run; `cnnlab.run.cluster.cluster` describes the methods."""

    def agree(self, control: Control, plan: RunPlan) -> bool:
        """Agree on the next session run; return whether there is one."""

    def step_secs_of_all(self, secs: float) -> dict[str, float]:
        """Return the seconds of own work a step of each worker, by its name."""

    def steps_watched(self, plan: RunPlan) -> AbstractContextManager[None]:
        """Return the context of a session run of training steps."""


class Run(Protocol):
    """What hooks see of a training run. `cnnlab.Train` is a run; it describes the attributes.

    control: whether the run must stop or save, and why.
    cluster: the workers that share the run; None: there is one.
    is_chief: whether this worker writes the run's files. Without a cluster it does.
    """

    config: Config
    data: TrainingData
    control: Control

    @property
    def cluster(self) -> Workers | None:
        """The workers that share the run."""

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run's files."""

    @property
    def graph(self) -> Any:
        """The `tf.Graph`."""

    @property
    def train_graph(self) -> TrainGraph:
        """Every tensor of the graph by name."""

    @property
    def session(self) -> Any:
        """The `tf.Session`."""

    @property
    def saver(self) -> Any:
        """The `tf.train.Saver` of all variables."""

    @property
    def images_ph(self) -> Any:
        """Placeholder, uint8 [batch, height, width, channels], range [0, 255]."""

    @property
    def step(self) -> int:
        """Number of steps made so far."""

    def evaluate(
        self,
        split: Any,
        limit: int | None = None,
        tta: str | None = None,
        should_stop: Callable[[], bool] = ...,
        on_batch: Callable[[Any, Any], None] | None = None,
        turn: int = 0,
    ) -> dict[str, Any]:
        """Evaluate the session's weights; see `cnnlab.Train.evaluate`."""

    def log(self, name: str, value: float) -> None:
        """Write a figure of the current step to metrics.jsonl and to TensorBoard."""

    def stop(self, reason: str) -> None:
        """End the training loop after the current session run; the run is then saved."""

    def say(self, text: str) -> None:
        """Print a line of progress on stderr."""


class StepState(NamedTuple):
    """The state of training after a session run.

    step: number of steps made since the start of training.
    total_steps: the last step of the run.
    loss: mean loss of the last step's batch, before its update.
    accuracy: accuracy on the same batch, in [0, 1]; NaN if the labels are real values.
    learning_rate: learning rate of the last step.
    step_secs: seconds that this process has spent in training steps.
    waited_secs: how many of them it has waited for images; None if the images are resident.
    """

    step: int
    total_steps: int
    loss: float
    accuracy: float
    learning_rate: float
    step_secs: float
    waited_secs: float | None = None


@dataclass
class RunPlan:
    """The next session run; hooks may change it.

    step: number of steps made so far.
    steps: number of steps that the session run makes. A hook may lower it, but not below 1.
    arguments: further arguments of `session.run`: options, run_metadata.
    """

    step: int
    steps: int
    arguments: dict[str, Any] = field(default_factory=dict)


def is_time(step: int, every_steps: Period, total_steps: int) -> bool:
    """Return whether `step` is a multiple of `every_steps`, or the last step."""
    return is_due(step, every_steps) or step == total_steps


class Hook:
    """An action during training; override the methods that you need.

    Every method but `before_run` gets the run, which is the `cnnlab.Train`.

    Attributes:
        every_steps: `after_step` is called after each multiple of this number, and after the last
            step. A session run never crosses one of these steps, so a small number costs speed.
    """

    every_steps: Period = 100

    def build(self, run: Run) -> None:
        """Called once, when the graph is built; may add operations, for example to `run.graph`.

        The graph is the default one. Its weights are in `run.graph` by their names. Variables that
        are made here are initialized, and global ones are saved in checkpoints. So the hook must
        be there from the first step of the run on. A checkpoint is saved before `after_step` of
        its step, so what that changes is in the next one. After a rollback the graph is built
        again.
        """

    def begin(self, run: Run) -> None:
        """Called once, when the variables are ready and before the first step of this process."""

    def before_run(self, plan: RunPlan) -> None:
        """Called before each session run; may change the plan."""

    def after_step(self, run: Run, state: StepState) -> None:
        """Called after each multiple of `every_steps`, and after the last step."""

    def after_evaluation(self, run: Run, figures: dict[str, Any]) -> None:
        """Called after each evaluation on the validation set, before its checkpoint is saved.

        Args:
            run: the run, at the step of the evaluation.
            figures: as `Train.evaluate` returns them.
        """

    def after_run(self, run: Run, state: StepState) -> None:
        """Called after each session run, at whatever step it ended."""

    def after_stop(self, run: Run, state: StepState) -> None:
        """Called once, if the run was stopped before its last step."""

    def end(self, run: Run) -> None:
        """Called once, when the loop has ended, also after an error."""
