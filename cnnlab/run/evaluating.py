"""Evaluation during training, and the listeners that react to it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cnnlab.base.errors import NonFiniteError
from cnnlab.base.periods import Period, is_due
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.run.hook import Hook, Run, StepState, is_time
from cnnlab.run.inference import EvaluationStoppedError
from cnnlab.run.log import RunLog
from cnnlab.run.metrics.monitored import goodness, is_better
from cnnlab.run.metrics.shown import in_words, logged


class Evaluation(NamedTuple):
    """One evaluation on the validation set.

    step: number of training steps made before it.
    figures: loss, accuracy, top5_accuracy and n; others if the labels are no classes.
    is_regular: whether eval_steps or eval_epochs ask for it. The evaluation after the last step may
        not be regular. A longer run would not make it, so the training must not depend on it.
    """

    step: int
    figures: Mapping[str, Any]
    is_regular: bool


class EvaluationListener:
    """A reaction to evaluations during training; override the methods that you need.

    Attributes:
        wants_batches: whether to call `batch`.
    """

    wants_batches = False

    def start(self, run: Run) -> None:
        """Called once, before the first step of this process."""

    def begin(self) -> None:
        """Called when an evaluation begins."""

    def batch(self, logits: Any, probabilities: Any) -> None:
        """Called with each batch, both float32 [batch, num_classes], in the order of the images."""

    def after(self, run: Run, evaluation: Evaluation) -> None:
        """Called after each evaluation, before the checkpoint of its step is saved."""


class PlateauListener(EvaluationListener):
    """Passes the monitored figure to the plateau schedule, which keeps its state in the graph.

    The state in a checkpoint may lack the evaluation of its step: a signal interrupted it, the next
    process made it, and that process was killed before its next checkpoint. So at a step with an
    evaluation, a resumed run computes the state again from metrics.jsonl.
    """

    def __init__(self, earlier: Sequence[Mapping[str, Any]]) -> None:
        """Prepare to count the evaluations.

        Args:
            earlier: figures of the regular evaluations before this process, in order.
        """
        self._earlier = earlier

    def start(self, run: Run) -> None:
        plateau = run.train_graph.plateau
        assert plateau is not None
        if self._earlier and self._earlier[-1]["step"] == run.step:
            run.session.run([variable.initializer for variable in plateau.variables])
            for figures in self._earlier:
                self._count(run, figures)

    def after(self, run: Run, evaluation: Evaluation) -> None:
        if evaluation.is_regular:
            self._count(run, evaluation.figures)

    def _count(self, run: Run, figures: Mapping[str, Any]) -> None:
        plateau = run.train_graph.plateau
        assert plateau is not None
        figure = goodness(figures, run.config.monitor)
        run.session.run(plateau.update_op, {plateau.figure_ph: figure})


class EarlyStopping(EvaluationListener):
    """Ends the run after `patience` evaluations in a row without a new best one.

    A resumed run computes the state again from the evaluations in metrics.jsonl.

    Attributes:
        has_stopped: whether early stopping has ended the run.
    """

    def __init__(self, patience: int, earlier: Sequence[Mapping[str, Any]]) -> None:
        """Prepare to count the evaluations.

        Args:
            patience: number of evaluations, >= 1.
            earlier: figures of the regular evaluations before this process, in order.
        """
        self._patience = patience
        self._earlier = earlier
        self._best: Mapping[str, Any] | None = None
        self._waited = 0
        self.has_stopped = False

    def start(self, run: Run) -> None:
        for figures in self._earlier:
            self._count(figures, run.config.monitor)
        if self.has_stopped:  # the run was killed between this decision and writing its result
            self._stop(run)

    def after(self, run: Run, evaluation: Evaluation) -> None:
        if evaluation.is_regular:
            self._count(evaluation.figures, run.config.monitor)
            if self.has_stopped:
                self._stop(run)

    def _count(self, figures: Mapping[str, Any], monitor: str) -> None:
        if self._best is None or is_better(figures, self._best, monitor):
            self._best, self._waited = figures, 0
        else:
            self._waited += 1
        self.has_stopped = self._waited >= self._patience

    def _stop(self, run: Run) -> None:
        run.stop(f"validation {run.config.monitor} not better {self._waited} times in a row")


class OwnListener(EvaluationListener):
    """Passes the figures of each evaluation to the user's hooks."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._hooks = hooks

    def after(self, run: Run, evaluation: Evaluation) -> None:
        for hook in self._hooks:
            hook.after_evaluation(run, dict(evaluation.figures))


class EvaluationHook(Hook):
    """Evaluates on the validation set, saves the best weights, and informs the listeners."""

    def __init__(
        self,
        every_steps: Period,
        total_steps: int,
        log: RunLog,
        directory: RunDirectory,
        first_step: int,
        listeners: Sequence[EvaluationListener] = (),
    ) -> None:
        """Prepare the evaluations.

        Args:
            every_steps: steps between two evaluations.
            total_steps: the last step of the run.
            log: receives the figures.
            directory: receives the best weights.
            first_step: the step at which this process begins.
            listeners: are informed of each evaluation, in this order.
        """
        self.every_steps = every_steps
        self._total_steps = total_steps
        self._log = log
        self._directory = directory
        self._best = directory.best_so_far(first_step)
        self._listeners = listeners
        self._batch_listeners = [one for one in listeners if one.wants_batches]

    def begin(self, run: Run) -> None:
        for listener in self._listeners:
            listener.start(run)
        self._catch_up(run)

    def _catch_up(self, run: Run) -> None:
        """Make the evaluation that a signal interrupted in the process before this one."""
        step = run.step
        is_due = step > 0 and is_time(step, self.every_steps, self._total_steps)
        if is_due and not self._directory.has_evaluation(step):
            self._evaluate(run, step, float(run.session.run(run.train_graph.last_rate)))

    def after_step(self, run: Run, state: StepState) -> None:
        self._evaluate(run, state.step, state.learning_rate)

    def _evaluate(self, run: Run, step: int, learning_rate: float) -> None:
        started = time.perf_counter()
        for listener in self._listeners:
            listener.begin()
        try:
            figures = run.evaluate(
                run.config.validate_on,
                limit=run.config.eval_examples,
                turn=run.config.eval_turn(step, run.data.epoch_size),
                tta="none",
                should_stop=lambda: run.control.is_interrupted,
                on_batch=self._pass_on if self._batch_listeners else None,
            )
        except EvaluationStoppedError:
            return
        except NonFiniteError as error:
            raise NonFiniteError(f"{error} after step {step}") from error
        secs = time.perf_counter() - started
        if self._best is None or is_better(figures, self._best, run.config.monitor):
            self._best = figures
            self._directory.save_best(run.saver, run.session, step)
        run.say(f"step {step}: validation {in_words(figures, run.config.metrics)}")
        evaluation = Evaluation(step, figures, is_regular=is_due(step, self.every_steps))
        for listener in self._listeners:
            listener.after(run, evaluation)
        # The line is written last: a kill before it repeats the whole evaluation.
        self._log.write(
            "val",
            step,
            **logged(figures, run.config.metrics),
            learning_rate=learning_rate,
            images_per_sec=figures["n"] / secs,
        )

    def _pass_on(self, logits: Any, probabilities: Any) -> None:
        for listener in self._batch_listeners:
            listener.batch(logits, probabilities)
