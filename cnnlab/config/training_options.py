"""The options for moving averages and early stopping, and what follows from all options so far."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.loss_options import DEFAULT_STEPS, outputs_for
from cnnlab.config.options import STRICT, option
from cnnlab.config.references import Reference
from cnnlab.config.update_options import SCHEDULES_OF_LENGTH, UpdateOptions

# Figures of evaluations and of training steps, and what else their records have.
TAKEN_FIGURES = (
    *("accuracy", "exact_match", "loss", "mae", "mse", "n", "r2", "top5_accuracy"),
    *("images_per_sec", "inference_accuracy", "inference_loss", "learning_rate"),
    *("seconds", "split", "step", "waiting"),
    *("best", "finished", "rollbacks", "stopped_early", "weights"),
    *("accuracy_interval", "confusion_matrix", "dataset", "expected_calibration_error"),
    *("heads", "macro_average", "most_confused", "per_class", "per_label", "per_value", "pr_auc"),
    *("roc_auc", "top_k", "top_k_accuracy", "weighted_average"),
)

Tta = Literal["none", "mirror", "mirror_shift"]
TTA_HELP = (
    "test-time augmentation: average the logits over several views of each image\n"
    "mirror: the image and its mirror image\n"
    "mirror_shift: those two with half of the weight; the other half goes to the image shifted by "
    "one pixel in two directions, and the mirror images of both"
)


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainingOptions(UpdateOptions):
    """The options for averages and stopping; see `cnnlab.config.config.Config`."""

    ema_decay: float | None = option(
        None,
        "keep a moving average a of the weights w: a = d a + (1 - d) w, with d = min(ema_decay, "
        "(1 + s) / (10 + s))",
        group="averages",
        gt=0,
        lt=1,
    )
    lookahead_steps: int | None = option(
        None,
        "for Lookahead: k; every k steps, slow = d slow + (1 - d) w, then w = slow",
        unit="steps",
        group="averages",
        ge=1,
    )
    lookahead_decay: float = option(0.5, "for Lookahead: the decay d", group="averages", ge=0, lt=1)
    lookahead_ramp: bool = option(
        False, "for Lookahead: let d be lookahead_decay x ((s + 1) / T)^3", group="averages"
    )
    eval_weights: Literal["auto", "live", "ema", "lookahead"] = option(
        "auto",
        "weights for evaluation and prediction; auto: ema if ema_decay is set, else lookahead if "
        "lookahead_steps is set, else live\n"
        "live: the weights w that are trained\n"
        "ema: their moving average\n"
        "lookahead: the slow weights",
        group="averages",
    )

    monitor: Literal["accuracy", "loss"] = option(
        "accuracy",
        "validation metric that decides which weights are best, for best/, early stopping and the "
        "schedule plateau",
        default_text="accuracy; loss if the labels are real values",
        group="stopping",
    )
    metrics: dict[str, Reference] = option(
        {},
        "your own metrics in each evaluation, as in {top3: FILE.py:NAME}: a function (labels, "
        "logits) -> [batch], whose mean counts, or -> scalar, of all images together",
        group="run",
        shapes_result=False,
    )
    early_stopping: int | None = option(
        None,
        "stop after this many evaluations in a row without improvement",
        unit="evaluations",
        group="stopping",
        ge=1,
    )
    restore_best: bool = option(
        False,
        "end with the weights of the best evaluation, not of the last step",
        group="stopping",
    )

    @pydantic.field_validator("metrics")
    @classmethod
    def _free_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not name.isidentifier() or name in TAKEN_FIGURES:
                why = "is taken" if name in TAKEN_FIGURES else "is not a name, as top3"
                raise ValueError(f"{name} {why}; choose another name")
        return value

    def total_steps(self, epoch_size: int) -> int:
        """Return the length of the run in steps.

        Args:
            epoch_size: number of images that an epoch draws.
        """
        if self.epochs is not None:
            # Exact decimals: 0.07 epochs of 10,000 images are 700 images, not 700.0000000000001.
            return math.ceil(Fraction(str(self.epochs)) * epoch_size / self.batch_size)
        return self.steps or DEFAULT_STEPS

    def schedule_length(self, epoch_size: int) -> int:
        """Return T, the length of the schedule in steps."""
        return self.schedule_steps or self.total_steps(epoch_size)

    @property
    def depends_on_length(self) -> bool:
        """Whether the learning rate or Lookahead depends on T."""
        fractions = self.schedule == "piecewise" and any(b < 1 for b in self.boundaries)
        return self.schedule in SCHEDULES_OF_LENGTH or fractions or self.lookahead_ramp

    @property
    def resolved_output(self) -> str:
        """The output function: softmax, sigmoid, linear or tanh."""
        return outputs_for(self.loss, self.class_mode)[0] if self.output == "auto" else self.output

    @property
    def has_one_unit(self) -> bool:
        """Whether the network has one output for two classes."""
        return self.class_mode == "binary"

    @property
    def resolved_eval_weights(self) -> str:
        """The weights to evaluate: live, ema or lookahead."""
        if self.eval_weights != "auto":
            return self.eval_weights
        if self.ema_decay is not None:
            return "ema"
        return "live" if self.lookahead_steps is None else "lookahead"
