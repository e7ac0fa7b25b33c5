"""Hooks: what happens between steps. Logging, evaluating, saving and reporting are hooks
themselves."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from cnnlab.errors import NonFiniteError
from cnnlab.inference import EvaluationStoppedError
from cnnlab.loop import RunPlan, StepState, is_time
from cnnlab.monitors import Monitor, is_better
from cnnlab.run_directory import RunDirectory
from cnnlab.summaries import RunLog
from cnnlab.tf1 import on_calling_thread

if TYPE_CHECKING:
    from cnnlab.board.hooks import EvaluationBoard
    from cnnlab.train import Train


class Hook:
    """Something to do while training; override what you need.

    Attributes:
        every_steps: `after_step` is called after each multiple of it and after the last step. Runs
            of fused steps are cut there, so a small number costs speed.
    """

    every_steps: int = 100

    def begin(self, train: Train) -> None:
        """Called once, when the variables are ready and before the first step of this process."""

    def before_run(self, plan: RunPlan) -> None:
        """Called before each session run, which it may change."""

    def after_step(self, train: Train, state: StepState) -> None:
        """Called when `every_steps` have passed, and after the last step."""

    def after_run(self, train: Train, state: StepState) -> None:
        """Called after each session run, wherever it happened to end."""

    def after_stop(self, train: Train, state: StepState) -> None:
        """Called once, when `train.stop()` has ended the loop before its last step."""

    def end(self, train: Train) -> None:
        """Called once, when the loop has ended or failed."""


class SummaryHook(Hook):
    """Writes the training metrics of the last step."""

    def __init__(self, every_steps: int, log: RunLog, earlier_secs: float) -> None:
        self.every_steps = every_steps
        self._log = log
        self._earlier_secs = earlier_secs
        self._step = 0
        self._step_secs = 0.0
        self._started = 0.0

    def begin(self, train: Train) -> None:
        self._step = train.step
        self._started = time.perf_counter()

    def after_step(self, train: Train, state: StepState) -> None:
        secs = state.step_secs - self._step_secs
        images = (state.step - self._step) * train.config.batch_size
        self._log.write(
            "train",
            state.step,
            loss=state.loss,
            accuracy=state.accuracy,
            learning_rate=state.learning_rate,
            images_per_sec=images / secs,
            seconds=self._earlier_secs + time.perf_counter() - self._started,
        )
        self._step, self._step_secs = state.step, state.step_secs


class EvaluationHook(Hook):
    """Evaluates on the validation data, writes the metrics, keeps the best weights, and tells
    whoever goes by the figures."""

    def __init__(
        self,
        every_steps: int,
        total_steps: int,
        log: RunLog,
        run: RunDirectory,
        first_step: int,
        monitors: Sequence[Monitor] = (),
        board: EvaluationBoard | None = None,
    ) -> None:
        """Args: first_step: where this process begins; monitors: what goes by the figures; board:
        shows more of each evaluation."""
        self.every_steps = every_steps
        self._total_steps = total_steps
        self._log = log
        self._run = run
        self._best = run.best_so_far(first_step)
        self._monitors = monitors
        self._board = board

    def begin(self, train: Train) -> None:
        for monitor in self._monitors:
            monitor.begin(train)
        self._make_up(train)

    def _make_up(self, train: Train) -> None:
        """Make up for an evaluation that a signal cut short before the checkpoint was saved."""
        step = train.step
        is_due = step > 0 and is_time(step, self.every_steps, self._total_steps)
        if is_due and not self._log.has("val", step):
            self._evaluate(train, step, float(train.session.run(train.train_graph.last_rate)))

    def after_step(self, train: Train, state: StepState) -> None:
        self._evaluate(train, state.step, state.learning_rate)

    def _evaluate(self, train: Train, step: int, learning_rate: float) -> None:
        started = time.perf_counter()
        if self._board is not None:
            self._board.begin()
        try:
            figures = train.evaluate(
                "validation",
                limit=train.config.eval_examples,
                tta="none",
                should_stop=lambda: train.stop_signal is not None,
                on_batch=None if self._board is None else self._board.take,
            )
        except EvaluationStoppedError:
            return
        except NonFiniteError as error:
            raise NonFiniteError(f"{error} after step {step}") from error
        secs = time.perf_counter() - started
        if self._best is None or is_better(figures, self._best, train.config.monitor):
            self._best = figures
            self._run.save_best(train.saver, train.session, step)
        if self._board is not None:
            self._board.write(train, step)
        # The line comes after the checkpoint it speaks of: a kill between them repeats both.
        self._log.write(
            "val",
            step,
            loss=figures["loss"],
            accuracy=figures["accuracy"],
            learning_rate=learning_rate,
            images_per_sec=figures["n"] / secs,
        )
        train.say(
            f"step {step}: validation accuracy {figures['accuracy']:.4f}, "
            f"loss {figures['loss']:.4f}"
        )
        # The evaluation after the last step would not be made in a longer run.
        if step % self.every_steps == 0:
            for monitor in self._monitors:
                monitor.count(train, figures)


class LayerSummaryHook(Hook):
    """Writes each layer's output statistics and histograms, on the same images each time."""

    def __init__(self, every_steps: int, log: RunLog, samples: dict[str, Any]) -> None:
        """Args: samples: split to uint8 images [batch, height, width, channels]."""
        self.every_steps = every_steps
        self._log = log
        self._samples = samples

    def after_step(self, train: Train, state: StepState) -> None:
        for split, images in self._samples.items():
            feed = {train.images_ph: images}
            summary = train.session.run(train.train_graph.layer_summaries, feed)
            self._log.write_summary(split, state.step, summary)


class CheckpointHook(Hook):
    """Saves checkpoints of finite weights: regularly, on request, and when the loop is stopped."""

    def __init__(self, every_steps: int, run: RunDirectory, log: RunLog) -> None:
        self.every_steps = every_steps
        self._run = run
        self._log = log
        self._saved_step = -1
        self._tensors: list[Any] = []
        self._read: Any = None

    def begin(self, train: Train) -> None:
        self._tensors = self._run.tensors_to_hold(train.saver, train.graph)
        fetches = [train.train_graph.weights_are_finite, *self._tensors]
        # What `session.run` looks up each time is looked up once.
        self._read = train.session.make_callable(fetches, accept_options=True)

    def after_step(self, train: Train, state: StepState) -> None:
        self._save(train, state)

    def after_run(self, train: Train, state: StepState) -> None:
        if train.save_requested:
            train.save_requested = False
            self._save(train, state)
            self._run.saving.wait()
            train.say(f"step {state.step}: checkpoint saved on request")
        self._run.saving.check()

    def after_stop(self, train: Train, state: StepState) -> None:
        self._save(train, state)

    def end(self, train: Train) -> None:
        self._run.saving.wait()

    def _save(self, train: Train, state: StepState) -> None:
        if state.step == self._saved_step:
            return
        is_finite, *values = self._read(options=on_calling_thread())
        if not is_finite:
            name = _first_non_finite(train)
            raise NonFiniteError(f"variable {name} is not finite after step {state.step}")
        self._log.flush()
        step, log = state.step, self._log.sync
        held = dict(zip(self._tensors, values, strict=True))
        self._run.save(train.saver, train.session, step, held, state.total_steps, log)
        if train.own_hooks:  # they act next, and may look for the checkpoint
            self._run.saving.wait()
        self._saved_step = step


def _first_non_finite(train: Train) -> str:
    """The name of the first variable, in the order they were made, with a NaN or an infinity."""
    for variable in train.saver._var_list:
        value = train.session.run(variable)
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            return str(variable.op.name)
    return "unknown"


class DeadlineHook(Hook):
    """Stops the loop, which then saves, when the time is up."""

    def __init__(self, max_secs: float) -> None:
        self.every_steps = sys.maxsize
        self._deadline = time.monotonic() + max_secs

    def after_run(self, train: Train, state: StepState) -> None:
        if time.monotonic() >= self._deadline and state.step < state.total_steps:
            train.stop(f"the {train.config.max_secs:g} seconds of --max_secs are over")


class ProgressHook(Hook):
    """Shows progress: a bar on a terminal, a plain line every so many steps elsewhere."""

    def __init__(self, every_steps: int, total_steps: int) -> None:
        self._is_terminal = sys.stderr.isatty()
        self.every_steps = sys.maxsize if self._is_terminal else every_steps
        self._total_steps = total_steps
        self._bar: Any = None
        self._step = 0
        self._step_secs = 0.0

    def begin(self, train: Train) -> None:
        self._step, self._step_secs = train.step, 0.0
        if self._is_terminal:
            self._bar = tqdm(total=self._total_steps, initial=train.step, unit="step")

    def after_step(self, train: Train, state: StepState) -> None:
        if not self._is_terminal:
            train.say(self._line(train, state))

    def after_run(self, train: Train, state: StepState) -> None:
        if self._bar is not None:
            self._bar.n = state.step
            self._bar.set_postfix_str(
                f"loss {state.loss:.4f}, accuracy {state.accuracy:.3f}, "
                f"{self._images_per_sec(train, state):.0f} images/s"
            )

    def end(self, train: Train) -> None:
        if self._bar is not None:
            self._bar.close()

    def _images_per_sec(self, train: Train, state: StepState) -> float:
        """Over the steps since this was last asked."""
        steps, secs = state.step - self._step, state.step_secs - self._step_secs
        self._step, self._step_secs = state.step, state.step_secs
        return steps * train.config.batch_size / secs

    def _line(self, train: Train, state: StepState) -> str:
        rate = self._images_per_sec(train, state)
        left = (state.total_steps - state.step) * train.config.batch_size / rate
        return (
            f"step {state.step}/{state.total_steps}: loss {state.loss:.4f}, "
            f"accuracy {state.accuracy:.3f}, learning rate {state.learning_rate:.3g}, "
            f"{rate:.0f} images/s, {left:.0f} s left"
        )
