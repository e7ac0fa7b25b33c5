"""The options for the optimizer and the learning-rate schedule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.loss_options import LossOptions
from cnnlab.config.options import STRICT, option
from cnnlab.config.references import Reference

DEFAULT_RATE = 1e-3

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

SCHEDULE_FORMULAS = {
    "constant": "R",
    "exponential": "R decay_rate^(s / decay_steps), the exponent rounded down if staircase",
    "polynomial": "E + (R - E) (1 - min(s, T) / T)^decay_power",
    "quadratic": "polynomial with decay_power 2",
    "piecewise": "R times the factor of the last boundary B <= s",
    "cosine": "E + (R - E) (1 + cos(pi min(s, T) / T)) / 2",
    "one_cycle": "linear from start_factor R to R at s = peak_at T, then linear to E at T",
    "plateau": "R plateau_factor^(reductions so far)",
}
SCHEDULES_OF_LENGTH = ("polynomial", "quadratic", "cosine", "one_cycle")


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class UpdateOptions(LossOptions):
    """The options for optimizer and schedule; see `cnnlab.config.config.Config`."""

    optimizer: Optimizer | Reference = option(
        "adam",
        "update rule\n"
        "muon: orthogonalized updates for convolution kernels, and nesterov with a momentum of "
        "0.85 for all other weights\n"
        "FILE.py:NAME: your function (learning_rate) -> tf.train.Optimizer",
        group="optimizer",
        everyday=True,
    )
    learning_rate: float = option(
        DEFAULT_RATE,
        "R: base learning rate, which the schedule changes over time",
        group="optimizer",
        everyday=True,
        gt=0,
        allow_inf_nan=False,
    )
    momentum: float | None = option(
        None,
        "for momentum, nesterov, muon and rmsprop: the momentum",
        default_text="0.9; muon: 0.6; rmsprop: 0",
        group="optimizer",
        ge=0,
        lt=1,
    )
    beta1: float | None = option(
        None,
        "for adam and adamw: decay of the moving average of the gradient",
        default_text="0.9",
        group="optimizer",
        ge=0,
        lt=1,
    )
    beta2: float | None = option(
        None,
        "for adam and adamw: decay of the moving average of the squared gradient",
        default_text="0.999",
        group="optimizer",
        ge=0,
        lt=1,
    )
    rho: float | None = option(
        None,
        "for rmsprop: decay of the moving average of the squared gradient",
        default_text="0.9",
        group="optimizer",
        ge=0,
        lt=1,
    )
    epsilon: float | None = option(
        None,
        "for adam, adamw and rmsprop: small number that keeps the divisor above 0",
        default_text="1e-8; rmsprop: 1e-10",
        group="optimizer",
        gt=0,
    )
    weight_decay: float = option(
        0.0,
        "weight decay of kernels, not of biases",
        group="optimizer",
        ge=0,
        allow_inf_nan=False,
    )
    weight_decay_mode: Literal["auto", "coupled", "decoupled"] = option(
        "auto",
        "how weight decay acts; auto: decoupled for adamw, else coupled\n"
        "coupled: gradient += weight_decay x w\n"
        "decoupled: w -= learning rate x weight_decay x w",
        group="optimizer",
    )
    parameter_groups: dict[str, float | dict[str, float]] = option(
        {},
        "settings for variables by a pattern (regex) of their names, as in {bias: 64} or {bias: "
        "{rate: 64, steps: 100}}; the first pattern that matches counts\n"
        "rate: factor on the learning rate; 0 freezes the variables\n"
        "weight_decay: factor on the weight decay\n"
        "from: freeze the variables in the first steps, and train them from this step on\n"
        "steps: freeze the variables after this many steps",
        group="optimizer",
    )
    clip_norm: float | None = option(
        None,
        "limit the norm of all gradients together: scale them down to it if it is larger",
        group="optimizer",
        gt=0,
    )

    schedule: Schedule | Reference = option(
        "exponential",
        "how the learning rate changes over the steps\n"
        "at step s = 0, 1, ... of T = schedule_steps, with R = learning_rate and E = end_factor R\n"
        + "\n".join(f"{n}: {f}" for n, f in SCHEDULE_FORMULAS.items())
        + "\nFILE.py:NAME: your function (step) -> learning rate, float32 scalar",
        group="schedule",
        everyday=True,
    )
    warmup_steps: int = option(
        0,
        "W: length of the warm-up, with a learning rate of R (s + 1) / W for s < W; the schedule "
        "follows, with s - W and T - W in place of s and T",
        unit="steps",
        group="schedule",
        ge=0,
    )
    schedule_steps: int | None = option(
        None,
        "T: length of the schedule",
        default_text="the length of the run when it starts",
        unit="steps",
        group="schedule",
        ge=1,
    )
    decay_steps: int = option(
        1000, "for exponential: steps between two decays", unit="steps", group="schedule", ge=1
    )
    decay_rate: float = option(
        0.9, "for exponential: factor of each decay", group="schedule", gt=0, le=1
    )
    staircase: bool = option(
        True, "for exponential: decay in jumps, not gradually", group="schedule"
    )
    decay_power: float = option(1.0, "for polynomial: the power", group="schedule", gt=0)
    end_factor: float = option(
        0.0,
        "for polynomial, quadratic, cosine and one_cycle: the final learning rate E over R",
        group="schedule",
        ge=0,
    )
    start_factor: float = option(
        0.2, "for one_cycle: the first learning rate over R", group="schedule", ge=0, le=1
    )
    peak_at: float = option(
        0.25,
        "for one_cycle: the fraction of T after which the learning rate peaks at R",
        group="schedule",
        gt=0,
        lt=1,
    )
    boundaries: list[float] = option(
        [1 / 3, 2 / 3],
        "for piecewise: ascending boundaries B, below 1 as fractions of T, else in steps",
        default_text="[1/3, 2/3]",
        group="schedule",
        min_length=1,
    )
    boundary_factors: list[float] | None = option(
        None,
        "for piecewise: the learning rate over R from each boundary on",
        default_text="0.1, 0.01, ...",
        group="schedule",
    )
    plateau_factor: float = option(
        0.1, "for plateau: factor of each reduction", group="schedule", gt=0, lt=1
    )
    plateau_patience: int = option(
        5,
        "for plateau: evaluations in a row without improvement before a reduction",
        unit="evaluations",
        group="schedule",
        ge=1,
    )
    plateau_min_rate: float = option(
        0.0, "for plateau: the lowest learning rate", group="schedule", ge=0
    )

    @pydantic.field_validator("parameter_groups")
    @classmethod
    def _known_groups(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_groups(value)
        return value


def check_groups(groups: Mapping[str, Any]) -> None:
    """Check the patterns and settings of parameter groups.

    Args:
        groups: pattern to rate factor, or to a mapping with rate, weight_decay, from and steps.

    Raises:
        ValueError: says what is wrong.
    """
    for pattern, factors in groups.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern} is not a regular expression ({error})") from error
        given = factors if isinstance(factors, dict) else {"rate": factors}
        for name, factor in given.items():
            if name not in ("rate", "weight_decay", "from", "steps"):
                raise ValueError(
                    f"{pattern} has {name}; it takes rate, weight_decay, from and steps"
                )
            if not 0 <= factor < float("inf"):
                raise ValueError(f"the {name} factor of {pattern} is {factor}; it must be >= 0")
            if name in ("from", "steps") and factor != int(factor):
                is_or_are = "are" if name == "steps" else "is"
                raise ValueError(
                    f"the {name} of {pattern} {is_or_are} {factor}, not a whole number"
                )


def settings_of(groups: Mapping[str, Any], name: str) -> dict[str, float]:
    """Return the settings of a variable: those of the first pattern that its name contains.

    Args:
        groups: as for `check_groups`.
        name: of the variable.
    """
    for pattern, given in groups.items():
        if re.search(pattern, name):
            return dict(given) if isinstance(given, dict) else {"rate": given}
    return {}
