"""The hooks of every run, in the order in which they act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cnnlab.base.printing import is_quiet
from cnnlab.run import hooks as standard
from cnnlab.run.cluster.step_times import StepTimesHook
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.run.evaluating import (
    EarlyStopping,
    EvaluationHook,
    EvaluationListener,
    OwnListener,
    PlateauListener,
)
from cnnlab.run.hook import Hook, Run
from cnnlab.run.log import RunLog
from cnnlab.run.progress import ProgressHook
from cnnlab.run.tensorboard.hooks import (
    EvaluationPictures,
    InputImagesHook,
    ProjectorHook,
    TraceHook,
)

WARM_UP_STEPS = 10  # TensorFlow's first steps are slower, so a profile skips them
PROFILED_STEPS = 10


def make_hooks(
    run: Run,
    directory: RunDirectory,
    log: RunLog,
    total_steps: int,
    started: float,
    early_stopping: EarlyStopping | None,
    own_hooks: Sequence[Hook] = (),
) -> list[Hook]:
    """Return the standard hooks, in order. The checkpoint of a step is saved last.

    Args:
        run: the run, at the step where this process begins.
        directory: its run directory.
        log: receives the figures.
        total_steps: the last step of the run.
        started: see `SummaryHook`.
        early_stopping: a listener to the evaluations; None: the run has no early stopping.
        own_hooks: the user's, which follow the standard hooks.
    """
    config = run.config
    eval_period = config.eval_period(run.data.epoch_size)
    summary_steps = summary_steps_of(config.summary_steps, total_steps)
    hooks: list[Hook] = [
        standard.SummaryHook(summary_steps, log, started),
        *([] if run.cluster is None else [StepTimesHook(summary_steps, log)]),
        *([] if is_quiet() or not run.is_chief else [ProgressHook(summary_steps, total_steps)]),
        EvaluationHook(
            eval_period,
            total_steps,
            log,
            directory,
            run.step,
            _make_listeners(run, directory, log, early_stopping, own_hooks),
        ),
    ]
    if run.train_graph.model_summaries is not None:
        hooks.append(standard.ModelSummaryHook(summary_steps, log))
    if config.layer_summaries and run.is_chief:
        for split, every_steps, name in (
            ("train", summary_steps, "train"),
            ("val", eval_period, config.validate_on),
        ):
            sample = np.array(run.data.split(name).images[: config.batch_size])
            hooks.append(standard.LayerSummaryHook(every_steps, log, split, sample))
    if "images" in config.tensorboard and run.is_chief:
        hooks.append(InputImagesHook(log))
    if "projector" in config.tensorboard and run.is_chief:
        hooks.append(ProjectorHook(config.resolved_log_dir / "val"))
    if config.trace_steps is not None or config.profile:
        start = run.step + WARM_UP_STEPS
        first, last = config.trace_steps or (start + 1, start + PROFILED_STEPS)
        profile_path = directory.path / "profile.json" if config.profile else None
        hooks.append(TraceHook(first, last, log, config.resolved_log_dir / "traces", profile_path))
    if config.max_secs is not None and run.is_chief:
        hooks.append(standard.DeadlineHook(config.max_secs))
    hooks.append(
        standard.CheckpointHook(
            config.checkpoint_period(run.data.epoch_size),
            directory,
            log,
            has_followers=bool(own_hooks),
        )
    )
    return hooks


def summary_steps_of(given: Literal["auto"] | int, total_steps: int) -> int:
    """Return the steps between two lines; auto gives a short run a curve, not a single dot."""
    return max(1, min(100, total_steps // 10)) if given == "auto" else given


def _make_listeners(
    run: Run,
    directory: RunDirectory,
    log: RunLog,
    early_stopping: EarlyStopping | None,
    own_hooks: Sequence[Hook],
) -> list[EvaluationListener]:
    """Return the listeners to the evaluations, in the order in which they are informed."""
    listeners: list[EvaluationListener] = []
    if parts := set(run.config.tensorboard) - {"projector"}:
        listeners.append(EvaluationPictures(log, parts))
    if run.config.schedule == "plateau":
        listeners.append(PlateauListener(directory.evaluations_so_far(run.step)))
    if early_stopping is not None:
        listeners.append(early_stopping)
    if own_hooks:
        listeners.append(OwnListener(own_hooks))
    return listeners
