"""The options for where and how long a run trains, and what it logs and saves."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.periods import Period
from cnnlab.config.options import STRICT, option
from cnnlab.config.training_options import TTA_HELP, Tta
from cnnlab.config.worker_options import WorkerOptions

_EVAL_STEPS = 500
_CHECKPOINT_STEPS = 1000


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class RunOptions(WorkerOptions):
    """The options for the run; see `cnnlab.config.config.Config`."""

    save_dir: str = option(
        "./save",
        "run directory, for checkpoints, metrics and the result",
        group="run",
        everyday=True,
        is_path=True,
        shapes_result=False,
        min_length=1,
    )
    log_dir: str | None = option(
        None,
        "folder of the TensorBoard event files",
        default_text="the folder logs in save_dir",
        group="run",
        is_path=True,
        shapes_result=False,
    )
    overwrite: bool = option(
        False,
        "delete the run in save_dir, if there is one, and start again",
        group="run",
        shapes_result=False,
    )
    trust: bool = option(
        False,
        "run the code of a run directory from elsewhere, after you have read its folder code",
        group="run",
        shapes_result=False,
    )
    max_secs: float | None = option(
        None,
        "save and stop after this time; the same command resumes the run",
        default_text="no limit",
        unit="seconds",
        group="run",
        shapes_result=False,
        gt=0,
    )
    steps_per_run: Literal["auto"] | int = option(
        "auto",
        "steps in one session run; auto: as many as take about 100 ms, with several workers 500 ms",
        unit="steps",
        group="run",
        shapes_result=False,
    )
    eval_steps: int = option(
        _EVAL_STEPS,
        "steps between two evaluations on the validation set",
        unit="steps",
        group="run",
        ge=1,
    )
    eval_epochs: float | None = option(
        None,
        "passes over the training set between two evaluations, instead of eval_steps; each comes "
        "after the step that completes them",
        default_text="as eval_steps says",
        unit="epochs",
        group="run",
        gt=0,
        le=10**9,
    )
    eval_examples: int | None = option(
        None,
        "images to evaluate during training, taken from the start of the validation set; of "
        "pictures, which are in the order of their names, evenly from all of it",
        default_text="all",
        unit="images",
        group="run",
        ge=1,
    )
    eval_part: Literal["first", "next"] = option(
        "first",
        "which eval_examples images an evaluation during training takes\n"
        "first: the same ones in each evaluation\n"
        "next: the next ones in turn; after the last image, the first ones again",
        group="run",
    )
    tta: Tta = option(
        "none",
        f"{TTA_HELP}\nused in the final test, and by the commands evaluate and predict",
        group="run",
        shapes_result=False,
    )
    eval_batch_size: Literal["auto"] | int = option(
        "auto",
        "images per evaluation batch; auto: 500, or more if the network's layers are small",
        unit="images",
        group="run",
        shapes_result=False,
    )
    summary_steps: Literal["auto"] | int = option(
        "auto",
        "steps between two lines of training metrics; auto: a tenth of the run, at most 100",
        unit="steps",
        group="run",
    )
    checkpoint_steps: int = option(
        _CHECKPOINT_STEPS,
        "steps between two checkpoints",
        unit="steps",
        group="run",
        shapes_result=False,
        ge=1,
    )
    checkpoint_epochs: float | None = option(
        None,
        "passes over the training set between two checkpoints, instead of checkpoint_steps; each "
        "comes after the step that completes them",
        default_text="as checkpoint_steps says",
        unit="epochs",
        group="run",
        shapes_result=False,
        gt=0,
        le=10**9,
    )
    max_to_keep: int | None = option(
        5,
        "number of newest checkpoints to keep; none: keep all",
        unit="checkpoints",
        group="run",
        shapes_result=False,
        ge=1,
    )
    keep_every: int | None = option(
        None,
        "also keep every checkpoint whose step is a multiple of this",
        unit="steps",
        group="run",
        shapes_result=False,
        ge=1,
    )
    keep_every_hours: float | None = option(
        None,
        "also keep one checkpoint for each period of this length; only hours of training count, "
        "not the time between a stop and the next start",
        unit="hours",
        group="run",
        shapes_result=False,
        gt=0,
    )
    on_nan: Literal["stop", "rollback"] = option(
        "stop",
        "what to do if the loss or a weight is not finite\n"
        "stop: end the run\n"
        "rollback: return to the last regular checkpoint and continue with a lower learning rate",
        group="run",
    )
    rollback_factor: float = option(
        0.5, "factor on the learning rate at each rollback", group="run", gt=0, lt=1
    )
    max_rollbacks: int = option(
        3, "rollbacks allowed in a run; after these it stops", unit="rollbacks", group="run", ge=1
    )
    inference_summaries: bool = option(
        False,
        "with each line of training metrics, also log inference_loss and inference_accuracy: those "
        "of the next batch, before the network trains on it, with dropout off and not augmented",
        group="run",
        shapes_result=False,
    )
    layer_summaries: bool = option(
        False,
        "log the mean, standard deviation, max, min and histogram of every layer's output, and a "
        "histogram of every weight",
        group="run",
        shapes_result=False,
    )

    def eval_period(self, epoch_size: int) -> Period:
        """Return the steps between two evaluations.

        Args:
            epoch_size: number of images that an epoch draws.
        """
        return self._period(self.eval_steps, self.eval_epochs, epoch_size)

    def checkpoint_period(self, epoch_size: int) -> Period:
        """Return the steps between two checkpoints; see `eval_period`."""
        return self._period(self.checkpoint_steps, self.checkpoint_epochs, epoch_size)

    def _period(self, steps: int, epochs: float | None, epoch_size: int) -> Period:
        if epochs is None:
            return steps
        # Exact, as in `total_steps`; an epoch of half a step is a whole one.
        return max(Fraction(1), Fraction(str(epochs)) * epoch_size / self.batch_size)

    def eval_turn(self, step: int, epoch_size: int) -> int:
        """Return which part of the images an evaluation after `step` (>= 1) takes, from 0 on.

        It depends on the step alone, so a resumed run takes the same parts.

        Args:
            step: number of steps made.
            epoch_size: number of images that an epoch draws.
        """
        return 0 if self.eval_part == "first" else (step - 1) // self.eval_period(epoch_size)

    @pydantic.model_validator(mode="after")
    def _steps_or_epochs(self) -> RunOptions:
        for name, default in (("eval", _EVAL_STEPS), ("checkpoint", _CHECKPOINT_STEPS)):
            is_given = getattr(self, f"{name}_steps") != default
            if is_given and getattr(self, f"{name}_epochs") is not None:
                raise ValueError(
                    f"--{name}_steps and --{name}_epochs both set the same; give one of them"
                )
        return self

    @pydantic.field_validator("steps_per_run", "eval_batch_size", "summary_steps")
    @classmethod
    def _auto_or_positive(cls, value: str | int) -> str | int:
        if isinstance(value, int) and value < 1:
            raise ValueError("it must be auto or an integer >= 1")
        return value
