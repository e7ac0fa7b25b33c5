"""Hooks for TensorBoard's pictures, curves, traces and profile.

They act on request only: `--tensorboard`, `--trace_steps`, `--profile`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.base.files import translate_os_errors, write_atomically
from cnnlab.base.tf1 import tf
from cnnlab.data.grey_levels import displayable_levels
from cnnlab.data.show import displayable, load_batches, make_sheet
from cnnlab.run.evaluating import Evaluation, EvaluationListener
from cnnlab.run.hook import Hook, Run, RunPlan, StepState
from cnnlab.run.log import RunLog
from cnnlab.run.metrics.mistakes import worst_mistakes
from cnnlab.run.metrics.sums import confusion_matrix
from cnnlab.run.tensorboard.curves import curve_values
from cnnlab.run.tensorboard.drawn_graph import DrawnGraph
from cnnlab.run.tensorboard.pictures import draw_confusion_matrix, draw_mistakes, picture_value
from cnnlab.run.tensorboard.profile import Profile, table
from cnnlab.run.tensorboard.projector import MAX_IMAGES, numbered, write_projector
from cnnlab.run.tensorboard.trace import chrome_trace, drawn_metadata

INPUT_IMAGES = 32
MISTAKES = 24  # images


class EvaluationPictures(EvaluationListener):
    """Writes pictures of each evaluation during training: mistakes, confusion matrix, PR curves."""

    wants_batches = True

    def __init__(self, log: RunLog, parts: Collection[str]) -> None:
        """Prepare to draw the pictures.

        Args:
            log: receives the pictures.
            parts: values of the option tensorboard.
        """
        self._log = log
        self._parts = parts
        self._batches: list[tuple[Any, Any]] = []

    def begin(self) -> None:
        self._batches = []

    def batch(self, logits: Any, probabilities: Any) -> None:
        self._batches.append((logits, probabilities))

    def after(self, run: Run, evaluation: Evaluation) -> None:
        spec = run.data.spec
        turn = run.config.eval_turn(evaluation.step, run.data.epoch_size)
        split = run.data.chosen(run.config.validate_on, run.config.eval_examples, turn)
        names, has_classes = spec.class_names, spec.targets == "classes"
        logits, probabilities = map(np.concatenate, zip(*self._batches, strict=True))
        labels, predicted = split.labels, logits.argmax(axis=1)
        values = []
        if "images" in self._parts and has_classes:
            worst = worst_mistakes(probabilities, predicted, labels, MISTAKES)
            if len(worst):
                images = displayable_levels(split.images[worst], spec.image_range)
                picture = draw_mistakes(
                    images, labels[worst], predicted[worst], probabilities[worst], names
                )
                values.append(picture_value("images/mistakes", picture))
        if "confusion_matrix" in self._parts and has_classes:
            confusion = confusion_matrix(labels, predicted, len(names))
            picture = draw_confusion_matrix(confusion, names)
            values.append(picture_value("images/confusion_matrix", picture))
        for head in spec.heads if "confusion_matrix" in self._parts else ():
            truth, guess = (rows[:, head.columns].argmax(axis=1) for rows in (labels, logits))
            confusion = confusion_matrix(truth, guess, len(head.class_names))
            picture = draw_confusion_matrix(confusion, head.class_names)
            values.append(picture_value(f"images/confusion_matrix/{head.name}", picture))
        if "pr_curves" in self._parts and spec.targets != "values":
            values += curve_values(probabilities, labels, names)
        self._log.write_summary(
            "val", evaluation.step, tf.Summary(value=values).SerializeToString()
        )


class InputImagesHook(Hook):
    """Writes a picture of the first images of a run, before and after augmentation."""

    every_steps = sys.maxsize

    def __init__(self, log: RunLog) -> None:
        self._log = log

    def begin(self, run: Run) -> None:
        if run.step == 0:
            own = run.train_graph.parts.augmentations
            originals, inputs = load_batches(run.config, INPUT_IMAGES, run.data, own)
            sheet = make_sheet(originals, displayable(inputs, run.config))
            summary = tf.Summary(value=[picture_value("images/inputs", sheet)])
            self._log.write_summary("train", 0, summary.SerializeToString())
            run.data.release_train()


class ProjectorHook(Hook):
    """Writes the last features of validation images for the projector, at the end of the run."""

    every_steps = sys.maxsize

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def after_step(self, run: Run, state: StepState) -> None:
        split, graph = run.data.split(run.config.validate_on), run.train_graph.inference
        batch_size, features, guesses = run.config.smallest_eval_batch_size, [], []
        images, labels = np.asarray(split.images[:MAX_IMAGES]), split.labels[:MAX_IMAGES]
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            fetched = (graph.features, graph.logits, graph.probabilities)
            found, logits, outputs = run.session.run(fetched, {graph.images_ph: batch})
            features.append(found)
            guesses.append(logits.argmax(axis=1) if labels.ndim == 1 else outputs)
        spec = run.data.spec
        write_projector(
            self._folder,
            np.concatenate(features),
            displayable_levels(images, spec.image_range),
            *numbered(labels, np.concatenate(guesses), spec),
        )

    def after_stop(self, run: Run, state: StepState) -> None:
        if not run.control.is_interrupted:  # early stopping or --max_secs stopped the run
            self.after_step(run, state)


class TraceHook(Hook):
    """Traces chosen steps: writes a Chrome trace each, and times for TensorBoard's graph.

    A session run makes each traced step alone. The step computes the same as without a trace.
    """

    every_steps = sys.maxsize

    def __init__(
        self, first: int, last: int, log: RunLog, folder: Path, profile_path: Path | None = None
    ) -> None:
        """Prepare to trace the steps.

        Args:
            first: the first traced step, >= 1.
            last: the last traced step.
            log: receives the times for TensorBoard's graph.
            folder: receives the Chrome traces.
            profile_path: receives the profile of the traced steps; None: no profile.
        """
        self._first, self._last = first, last
        self._log = log
        self._folder = folder
        self._metadata: Any = None
        self._drawn: DrawnGraph | None = None
        self._profile_path = profile_path
        self._profile: Profile | None = None

    def begin(self, run: Run) -> None:
        if self._profile_path is not None:
            self._profile = Profile(run.train_graph.inference.activations)

    def before_run(self, plan: RunPlan) -> None:
        if plan.step + 1 < self._first:
            plan.steps = min(plan.steps, self._first - plan.step - 1)
        elif plan.step + 1 <= self._last:
            plan.steps = 1
            self._metadata = tf.RunMetadata()
            plan.arguments["options"] = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
            plan.arguments["run_metadata"] = self._metadata

    def after_run(self, run: Run, state: StepState) -> None:
        if self._metadata is None:
            return
        metadata, self._metadata = self._metadata, None
        if self._drawn is None:
            self._drawn = DrawnGraph(run.graph)
        self._log.write_trace(state.step, drawn_metadata(metadata, self._drawn))
        with translate_os_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step_{state.step}.json"
        write_atomically(path, chrome_trace(metadata))
        run.say(f"step {state.step}: traced, {path}")
        if self._profile is not None:
            self._profile.add(state.step, metadata)
            if state.step == self._last:
                self._write_profile(run)

    def end(self, run: Run) -> None:
        if self._profile is not None:  # the loop has ended before the last traced step
            self._write_profile(run)

    def _write_profile(self, run: Run) -> None:
        assert self._profile is not None
        assert self._profile_path is not None
        figures, self._profile = self._profile.figures(), None
        if figures is None:
            run.say(f"no profile: steps {self._first} to {self._last} were not made")
            return
        write_atomically(self._profile_path, json.dumps(figures, indent=2) + "\n")
        run.say(f"{table(figures)}\n{self._profile_path}")
