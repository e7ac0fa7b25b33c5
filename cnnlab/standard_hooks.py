"""The hooks of every run, in the order they act in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlab import hooks as standard
from cnnlab.board.hooks import EvaluationBoard, InputImagesHook, ProjectorHook, TraceHook
from cnnlab.monitors import EarlyStopping, Monitor, PlateauMonitor
from cnnlab.run_directory import RunDirectory
from cnnlab.summaries import RunLog

if TYPE_CHECKING:
    from cnnlab.train import Train


def make_hooks(
    train: Train,
    run: RunDirectory,
    log: RunLog,
    total_steps: int,
    secs_before: float,
    early_stopping: EarlyStopping | None,
) -> list[standard.Hook]:
    """Logging, progress and evaluation come first: the checkpoint of a step is saved after them.

    Args:
        train: what is trained, at the step that this process begins at.
        run: its run directory.
        log: where figures are written.
        total_steps: where the run ends.
        secs_before: seconds that earlier processes trained.
        early_stopping: watches the evaluations, if the run may end early.
    """
    config = train.config
    monitors: list[Monitor] = [PlateauMonitor()] if config.schedule == "plateau" else []
    if early_stopping is not None:
        monitors.append(early_stopping)
    shows_evaluations = set(config.tensorboard) - {"projector"}
    board = EvaluationBoard(log, config.tensorboard) if shows_evaluations else None
    hooks: list[standard.Hook] = [
        standard.SummaryHook(config.summary_steps, log, secs_before),
        standard.ProgressHook(config.summary_steps, total_steps),
        standard.EvaluationHook(
            config.eval_steps, total_steps, log, run, train.step, monitors, board
        ),
    ]
    if config.layer_summaries:
        samples = {
            "train": train.data.split("train").images[: config.batch_size].copy(),
            "val": train.data.split("validation").images[: config.batch_size],
        }
        hooks.append(standard.LayerSummaryHook(config.summary_steps, log, samples))
    if "images" in config.tensorboard:
        hooks.append(InputImagesHook(log))
    if "projector" in config.tensorboard:
        hooks.append(ProjectorHook(config.resolved_log_dir / "val"))
    if config.trace_steps is not None or config.profile:
        # Unless they are given, without the first steps, in which TensorFlow warms up.
        first, last = config.trace_steps or (train.step + 11, train.step + 20)
        profile_path = run.path / "profile.json" if config.profile else None
        hooks.append(TraceHook(first, last, log, config.resolved_log_dir / "traces", profile_path))
    if config.max_secs is not None:
        hooks.append(standard.DeadlineHook(config.max_secs))
    hooks.append(standard.CheckpointHook(config.checkpoint_steps, run, log))
    return hooks
