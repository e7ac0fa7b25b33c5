"""The standard hooks: training metrics, layer statistics, checkpoints, deadline."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import numpy as np

from cnnlab.base.errors import NonFiniteError
from cnnlab.base.periods import Period
from cnnlab.base.tf1 import on_calling_thread, tf
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.run.hook import Hook, Run, StepState
from cnnlab.run.log import RunLog


class SummaryHook(Hook):
    """Writes the training metrics of the last step."""

    def __init__(self, every_steps: int, log: RunLog, started: float) -> None:
        """Prepare to write the metrics.

        Args:
            every_steps: steps between two lines.
            log: receives the metrics.
            started: start of the run in `time.perf_counter` seconds. For a resumed run it is
                computed as if one process had made the whole run.
        """
        self.every_steps = every_steps
        self._log = log
        self._started = started
        self._step = 0
        self._step_secs = 0.0

    def begin(self, run: Run) -> None:
        self._step = run.step

    def after_step(self, run: Run, state: StepState) -> None:
        secs = state.step_secs - self._step_secs
        images = (state.step - self._step) * run.config.batch_size
        inference = _inference_figures(run, state.step)
        self._log.write(
            "train",
            state.step,
            loss=state.loss,
            **({} if math.isnan(state.accuracy) else {"accuracy": state.accuracy}),
            learning_rate=state.learning_rate,
            images_per_sec=images / secs,
            **(
                {}
                if state.waited_secs is None
                else {"waiting": state.waited_secs / state.step_secs}
            ),
            **inference,
            seconds=time.perf_counter() - self._started,
        )
        self._step, self._step_secs = state.step, state.step_secs


def _inference_figures(run: Run, step: int) -> dict[str, float]:
    """Return inference_loss and inference_accuracy of the next batch, if they are configured."""
    if not run.config.inference_summaries:
        return {}
    assert run.train_graph.step_rows is not None
    rows = run.train_graph.step_rows.run(run.session, step)
    figures = run.evaluate((rows["images"], rows["labels"]), tta="none")
    found = {name: figures[name] for name in ("loss", "accuracy") if name in figures}
    shown = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
    run.say(f"step {step}: next training batch in inference: {shown}")
    return {f"inference_{name}": value for name, value in found.items()}


class ModelSummaryHook(Hook):
    """Writes what the model's own `tf.summary` gave in the last step."""

    def __init__(self, every_steps: int, log: RunLog) -> None:
        """Prepare to write the summaries.

        Args:
            every_steps: steps between two summaries.
            log: receives the summaries.
        """
        self.every_steps = every_steps
        self._log = log

    def after_step(self, run: Run, state: StepState) -> None:
        summary = tf.Summary.FromString(run.session.run(run.train_graph.model_summaries))
        for value in summary.value:
            value.tag = value.tag.removeprefix("model/")  # the scope in which cnnlab builds models
        self._log.write_summary("train", state.step, summary.SerializeToString())


class LayerSummaryHook(Hook):
    """Writes the statistics and histograms of each layer's output for a batch of one split.

    Of the split train they are those of a forward pass of training, with dropout on, for the batch
    of the next step if the training images are in memory. Otherwise, a model that takes labels gets
    zeros. Of the split val they are those of inference, always for the same images.
    """

    def __init__(self, every_steps: Period, log: RunLog, split: str, sample: Any) -> None:
        """Prepare to write the summaries.

        Args:
            every_steps: steps between two summaries.
            log: receives the summaries.
            split: train or val.
            sample: the images where no batch is drawn, [batch, height, width, channels].
        """
        self.every_steps = every_steps
        self._log = log
        self._split = split
        self._sample = sample

    def after_step(self, run: Run, state: StepState) -> None:
        graph = run.train_graph
        assert graph.layer_summaries is not None
        images, labels_ph = self._sample, graph.inference.labels_ph
        labels = np.zeros([len(images), *labels_ph.shape[1:]])
        if self._split == "train" and graph.step_rows is not None:
            rows = graph.step_rows.run(run.session, state.step)
            images, labels = rows["images"], rows["labels"]
        feed = {graph.inference.images_ph: images, labels_ph: labels}
        summary = run.session.run(graph.layer_summaries[self._split], feed)
        self._log.write_summary(self._split, state.step, summary)


class CheckpointHook(Hook):
    """Saves checkpoints of finite weights: regularly, on request, and when the run is stopped."""

    def __init__(
        self, every_steps: Period, directory: RunDirectory, log: RunLog, *, has_followers: bool
    ) -> None:
        """Prepare to save checkpoints.

        Args:
            every_steps: steps between two checkpoints.
            directory: receives the checkpoints.
            log: is flushed before each checkpoint.
            has_followers: whether further hooks act after this one. They may look for the
                checkpoint, so this hook then waits until it is complete.
        """
        self.every_steps = every_steps
        self._directory = directory
        self._has_followers = has_followers
        self._log = log
        self._saved_step = -1
        self._tensors: list[Any] = []
        self._read: Any = None

    def begin(self, run: Run) -> None:
        self._tensors = self._directory.tensors_to_hold(run.saver, run.graph)
        fetches = [run.train_graph.weights_are_finite, *self._tensors]
        # A callable looks its fetches up once; `session.run` would do so at each save.
        self._read = run.session.make_callable(fetches, accept_options=True)

    def after_step(self, run: Run, state: StepState) -> None:
        self._save(run, state)

    def after_run(self, run: Run, state: StepState) -> None:
        if run.control.is_save_requested:
            run.control.is_save_requested = False
            self._save(run, state)
            self._directory.saving.wait()
            run.say(f"step {state.step}: checkpoint saved on request")
        self._directory.saving.check()

    def after_stop(self, run: Run, state: StepState) -> None:
        self._save(run, state)

    def end(self, run: Run) -> None:
        self._directory.saving.wait()

    def _save(self, run: Run, state: StepState) -> None:
        if state.step == self._saved_step:
            return
        is_finite, *values = self._read(options=on_calling_thread())
        if not is_finite:
            name = _first_non_finite(run)
            raise NonFiniteError(f"variable {name} is not finite after step {state.step}")
        self._log.flush()
        step, log = state.step, self._log.sync
        held = dict(zip(self._tensors, values, strict=True))
        self._directory.save(run.saver, run.session, step, held, state.total_steps, log)
        if self._has_followers:
            self._directory.saving.wait()
        self._saved_step = step


def _first_non_finite(run: Run) -> str:
    """Return the name of the first variable, in order of creation, with a NaN or an infinity."""
    for variable in run.saver._var_list:
        value = run.session.run(variable)
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            return str(variable.op.name)
    return "unknown"


class DeadlineHook(Hook):
    """Stops the run when its time is up; the run is then saved."""

    def __init__(self, max_secs: float) -> None:
        self.every_steps = sys.maxsize
        self._deadline = time.monotonic() + max_secs

    def after_run(self, run: Run, state: StepState) -> None:
        if time.monotonic() >= self._deadline and state.step < state.total_steps:
            run.stop(f"the {run.config.max_secs:g} seconds of --max_secs are over")
