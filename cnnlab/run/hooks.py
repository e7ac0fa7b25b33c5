"""The standard hooks: summaries, layer statistics, checkpoints, deadline, progress."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from cnnlab.base.errors import NonFiniteError
from cnnlab.base.tf1 import on_calling_thread
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.run.hook import Hook, Run, StepState
from cnnlab.run.log import RunLog


class SummaryHook(Hook):
    """Writes the training metrics of the last step."""

    def __init__(self, every_steps: int, log: RunLog, started: float) -> None:
        """Args: started: when the run would have begun, in `time.perf_counter` seconds, if one
        process had made all of it."""
        self.every_steps = every_steps
        self._log = log
        self._started = started
        self._step = 0
        self._step_secs = 0.0

    def begin(self, train: Run) -> None:
        self._step = train.step

    def after_step(self, train: Run, state: StepState) -> None:
        secs = state.step_secs - self._step_secs
        images = (state.step - self._step) * train.config.batch_size
        self._log.write(
            "train",
            state.step,
            loss=state.loss,
            accuracy=state.accuracy,
            learning_rate=state.learning_rate,
            images_per_sec=images / secs,
            seconds=time.perf_counter() - self._started,
        )
        self._step, self._step_secs = state.step, state.step_secs


class LayerSummaryHook(Hook):
    """Writes each layer's output statistics and histograms, on the same images each time."""

    def __init__(self, every_steps: int, log: RunLog, samples: dict[str, Any]) -> None:
        """Args: samples: split to uint8 images [batch, height, width, channels]."""
        self.every_steps = every_steps
        self._log = log
        self._samples = samples

    def after_step(self, train: Run, state: StepState) -> None:
        for split, images in self._samples.items():
            feed = {train.images_ph: images}
            summary = train.session.run(train.train_graph.layer_summaries, feed)
            self._log.write_summary(split, state.step, summary)


class CheckpointHook(Hook):
    """Saves checkpoints of finite weights: regularly, on request, and when the loop is stopped."""

    def __init__(
        self, every_steps: int, directory: RunDirectory, log: RunLog, *, has_followers: bool
    ) -> None:
        """Args: has_followers: whether further hooks act next, and may look for the checkpoint."""
        self.every_steps = every_steps
        self._directory = directory
        self._has_followers = has_followers
        self._log = log
        self._saved_step = -1
        self._tensors: list[Any] = []
        self._read: Any = None

    def begin(self, train: Run) -> None:
        self._tensors = self._directory.tensors_to_hold(train.saver, train.graph)
        fetches = [train.train_graph.weights_are_finite, *self._tensors]
        # What `session.run` looks up each time is looked up once.
        self._read = train.session.make_callable(fetches, accept_options=True)

    def after_step(self, train: Run, state: StepState) -> None:
        self._save(train, state)

    def after_run(self, train: Run, state: StepState) -> None:
        if train.control.is_save_requested:
            train.control.is_save_requested = False
            self._save(train, state)
            self._directory.saving.wait()
            train.say(f"step {state.step}: checkpoint saved on request")
        self._directory.saving.check()

    def after_stop(self, train: Run, state: StepState) -> None:
        self._save(train, state)

    def end(self, train: Run) -> None:
        self._directory.saving.wait()

    def _save(self, train: Run, state: StepState) -> None:
        if state.step == self._saved_step:
            return
        is_finite, *values = self._read(options=on_calling_thread())
        if not is_finite:
            name = _first_non_finite(train)
            raise NonFiniteError(f"variable {name} is not finite after step {state.step}")
        self._log.flush()
        step, log = state.step, self._log.sync
        held = dict(zip(self._tensors, values, strict=True))
        self._directory.save(train.saver, train.session, step, held, state.total_steps, log)
        if self._has_followers:
            self._directory.saving.wait()
        self._saved_step = step


def _first_non_finite(train: Run) -> str:
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

    def after_run(self, train: Run, state: StepState) -> None:
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

    def begin(self, train: Run) -> None:
        self._step, self._step_secs = train.step, 0.0
        if self._is_terminal:
            self._bar = tqdm(total=self._total_steps, initial=train.step, unit="step")

    def after_step(self, train: Run, state: StepState) -> None:
        if not self._is_terminal:
            train.say(self._line(train, state))

    def after_run(self, train: Run, state: StepState) -> None:
        if self._bar is not None:
            self._bar.n = state.step
            self._bar.set_postfix_str(
                f"loss {state.loss:.4f}, accuracy {state.accuracy:.3f}, "
                f"{self._images_per_sec(train, state):.0f} images/s"
            )

    def end(self, train: Run) -> None:
        if self._bar is not None:
            self._bar.close()

    def _images_per_sec(self, train: Run, state: StepState) -> float:
        """Over the steps since this was last asked."""
        steps, secs = state.step - self._step, state.step_secs - self._step_secs
        self._step, self._step_secs = state.step, state.step_secs
        return steps * train.config.batch_size / secs

    def _line(self, train: Run, state: StepState) -> str:
        rate = self._images_per_sec(train, state)
        left = (state.total_steps - state.step) * train.config.batch_size / rate
        return (
            f"step {state.step}/{state.total_steps}: loss {state.loss:.4f}, "
            f"accuracy {state.accuracy:.3f}, learning rate {state.learning_rate:.3g}, "
            f"{rate:.0f} images/s, {left:.0f} s left"
        )
