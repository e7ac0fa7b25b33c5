"""The options that say how training goes: optimizer, schedule, averages, stopping."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.loss_options import DEFAULT_STEPS, LossOptions, output_of
from cnnlab.config.options import STRICT, option

Optimizer = Literal["adam", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adamw", "muon"]
Schedule = Literal[
    "exponential",
    "constant",
    "polynomial",
    "quadratic",
    "piecewise",
    "cosine",
    "one_cycle",
    "plateau",
]
Tta = Literal["none", "mirror", "mirror_shift"]
TTA_HELP = (
    "test-time augmentation, logits averaged: mirror: an image and its mirror image; mirror_shift: "
    "half that, half the same of two views shifted by one pixel"
)

SCHEDULE_FORMULAS = {
    "constant": "R",
    "exponential": "R decay_rate^(s / decay_steps), the exponent rounded down if staircase",
    "polynomial": "E + (R - E) (1 - min(s, T) / T)^decay_power",
    "quadratic": "polynomial of power 2",
    "piecewise": "R times the factor of the last boundary B <= s",
    "cosine": "E + (R - E) (1 + cos(pi min(s, T) / T)) / 2",
    "one_cycle": "linear from start_factor R to R at s = peak_at T, then linear to E at T",
    "plateau": "R plateau_factor^(reductions so far)",
}
SCHEDULES_OF_LENGTH = ("polynomial", "quadratic", "cosine", "one_cycle")


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainingOptions(LossOptions):
    """How training goes; see `cnnlab.config.config.Config`."""

    optimizer: Optimizer = option(
        "adam",
        "update rule; muon: orthogonalized updates for convolution kernels, nesterov 0.85 for the "
        "rest",
        group="optimizer",
    )
    learning_rate: float = option(
        1e-3, "rate that the schedule starts from", group="optimizer", gt=0, allow_inf_nan=False
    )
    momentum: float | None = option(
        None,
        "of momentum and nesterov (0.9 unless given), muon (0.6), rmsprop (0)",
        group="optimizer",
        ge=0,
        lt=1,
    )
    beta1: float | None = option(
        None, "of adam and adamw: decay of the mean (0.9)", group="optimizer", ge=0, lt=1
    )
    beta2: float | None = option(
        None, "of adam and adamw: decay of the square (0.999)", group="optimizer", ge=0, lt=1
    )
    rho: float | None = option(
        None, "of rmsprop: decay of the square (0.9)", group="optimizer", ge=0, lt=1
    )
    epsilon: float | None = option(
        None, "of adam, adamw (1e-8) and rmsprop (1e-10)", group="optimizer", gt=0
    )
    weight_decay: float = option(
        0.0,
        "decay of kernels, not biases: coupled: gradient += decay x w; decoupled: w -= rate x "
        "decay x w",
        group="optimizer",
        ge=0,
        allow_inf_nan=False,
    )
    weight_decay_mode: Literal["auto", "coupled", "decoupled"] = option(
        "auto", "auto: decoupled with adamw, else coupled", group="optimizer"
    )
    parameter_groups: dict[str, float | dict[str, float]] = option(
        {},
        "pattern (regex) of variable names to rate factor or {rate: FACTOR, weight_decay: "
        "FACTOR, steps: N}; the first that matches counts, as in {bias: 64}; rate 0 freezes, steps "
        "freezes after the first N",
        group="optimizer",
    )
    clip_norm: float | None = option(
        None,
        "scale the gradients of all weights together down to this norm where it is larger",
        group="optimizer",
        gt=0,
    )

    schedule: Schedule = option(
        "exponential",
        "rate at update s = 0, 1, ... of T = schedule_steps, from R = learning_rate to E = "
        "end_factor R: " + "; ".join(f"{n}: {f}" for n, f in SCHEDULE_FORMULAS.items()),
        group="schedule",
    )
    warmup_steps: int = option(
        0,
        "W: before any schedule, R (s + 1) / W for s < W; the schedule then sees s - W and T - W",
        unit="steps",
        group="schedule",
        ge=0,
    )
    schedule_steps: int | None = option(
        None,
        "T; the run's length when it starts unless given",
        unit="steps",
        group="schedule",
        ge=1,
    )
    decay_steps: int = option(
        1000, "of exponential: steps between two decays", unit="steps", group="schedule", ge=1
    )
    decay_rate: float = option(
        0.9, "of exponential: factor of each decay", group="schedule", gt=0, le=1
    )
    staircase: bool = option(True, "of exponential: decay in jumps, by floor", group="schedule")
    decay_power: float = option(1.0, "of polynomial: p", group="schedule", gt=0)
    end_factor: float = option(
        0.0, "of polynomial, quadratic, cosine and one_cycle: E / R", group="schedule", ge=0
    )
    start_factor: float = option(
        0.2, "of one_cycle: rate at s = 0, over R", group="schedule", ge=0, le=1
    )
    peak_at: float = option(
        0.25, "of one_cycle: share of T at which the rate is R", group="schedule", gt=0, lt=1
    )
    boundaries: list[float] = option(
        [1 / 3, 2 / 3],
        "of piecewise: B, ascending: below 1 a share of T, from 1 on a number of steps",
        group="schedule",
        min_length=1,
    )
    boundary_factors: list[float] | None = option(
        None,
        "of piecewise: rate over R from each boundary on; 0.1, 0.01, ... unless given",
        group="schedule",
    )
    plateau_factor: float = option(
        0.1, "of plateau: factor of each reduction", group="schedule", gt=0, lt=1
    )
    plateau_patience: int = option(
        5,
        "of plateau: evaluations without a better figure before a reduction",
        unit="evaluations",
        group="schedule",
        ge=1,
    )
    plateau_min_rate: float = option(
        0.0, "of plateau: the rate never falls below", group="schedule", ge=0
    )

    ema_decay: float | None = option(
        None,
        "keep a moving average of the weights: a = d a + (1 - d) w, d = min(ema_decay, (1 + s) / "
        "(10 + s))",
        group="averages",
        gt=0,
        lt=1,
    )
    lookahead_steps: int | None = option(
        None,
        "k: every k steps slow = d slow + (1 - d) w, then w = slow",
        unit="steps",
        group="averages",
        ge=1,
    )
    lookahead_decay: float = option(0.5, "d of lookahead", group="averages", ge=0, lt=1)
    lookahead_ramp: bool = option(
        False, "d of lookahead is lookahead_decay x ((s + 1) / T)^3", group="averages"
    )
    eval_weights: Literal["auto", "live", "ema", "lookahead"] = option(
        "auto",
        "weights that are evaluated and predict; auto: ema, else lookahead's slow, if there are",
        group="averages",
    )

    monitor: Literal["accuracy", "loss"] = option(
        "accuracy",
        "validation figure that best/, early stopping and the schedule plateau go by",
        group="stopping",
    )
    early_stopping: int | None = option(
        None,
        "stop after so many evaluations in a row without a better figure",
        unit="evaluations",
        group="stopping",
        ge=1,
    )
    restore_best: bool = option(
        False,
        "end with the weights of the best evaluation instead of the last step's",
        group="stopping",
    )

    @pydantic.field_validator("parameter_groups")
    @classmethod
    def _known_groups(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_groups(value)
        return value

    def total_steps(self, num_train: int) -> int:
        """The length of the run in steps, given the number of training images."""
        if self.epochs is not None:
            # By the decimal that was written: 0.07 of 10,000 images are 700, not 700.0000000000001.
            return math.ceil(Fraction(str(self.epochs)) * num_train / self.batch_size)
        return self.steps or DEFAULT_STEPS

    def schedule_length(self, num_train: int) -> int:
        """T of the schedule, in steps."""
        return self.schedule_steps or self.total_steps(num_train)

    @property
    def depends_on_length(self) -> bool:
        """Whether T shapes the result."""
        fractions = self.schedule == "piecewise" and any(b < 1 for b in self.boundaries)
        return self.schedule in SCHEDULES_OF_LENGTH or fractions or self.lookahead_ramp

    @property
    def resolved_output(self) -> str:
        """softmax, sigmoid or linear."""
        return output_of(self.loss) if self.output == "auto" else self.output

    @property
    def resolved_eval_weights(self) -> str:
        """live, ema or lookahead."""
        if self.eval_weights != "auto":
            return self.eval_weights
        if self.ema_decay is not None:
            return "ema"
        return "live" if self.lookahead_steps is None else "lookahead"


def check_groups(groups: Mapping[str, Any]) -> None:
    """Refuse parameter groups that are no pattern or have other than rate, weight_decay and
    steps.

    Raises:
        ValueError: says what is wrong.
    """
    for pattern, factors in groups.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern} is no regular expression ({error})") from error
        given = factors if isinstance(factors, dict) else {"rate": factors}
        for name, factor in given.items():
            if name not in ("rate", "weight_decay", "steps"):
                raise ValueError(f"{pattern} has {name}; a group has rate, weight_decay and steps")
            if not 0 <= factor < float("inf"):
                raise ValueError(f"the {name} factor of {pattern} is {factor}, not >= 0")
            if name == "steps" and factor != int(factor):
                raise ValueError(f"the steps of {pattern} are {factor}, not a whole number")
