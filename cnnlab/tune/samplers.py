"""The samplers and pruners: which values a trial tries, and which trials end early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial

from cnnlab.tune.dimensions import Choices, Dimension, Range, Stored
from cnnlab.tune.space import Point


def make_sampler(
    name: str, seed: int, number: int, grid: Sequence[Point] | None
) -> optuna.samplers.BaseSampler:
    """Return the sampler of one trial. It always draws the same values for the same trial.

    Args:
        name: "grid", "random" or "tpe".
        seed: the seed of the study.
        number: the number of the trial.
        grid: the points of a grid by trial number; None: the sampler is not a grid.
    """
    if grid is not None:
        return GridSampler(grid)
    trial_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if name == "random":
        return optuna.samplers.RandomSampler(trial_seed)
    return optuna.samplers.TPESampler(seed=trial_seed)


class GridSampler(optuna.samplers.BaseSampler):
    """A sampler that gives each trial the grid point of its number."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._points[trial.number][param_name]


def make_pruner(name: str) -> optuna.pruners.BasePruner:
    """Return the pruner of a name: "none", "halving" or "median"."""
    if name == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    if name == "median":
        return optuna.pruners.MedianPruner()
    return optuna.pruners.NopPruner()


def suggest(trial: Trial, dimension: Dimension) -> Stored:
    """Return the trial's value of a dimension; draw it if the trial does not have one yet."""
    if isinstance(dimension, Choices):
        return trial.suggest_categorical(dimension.key, dimension.stored)
    assert isinstance(dimension, Range)
    low, high, step, log = dimension.low, dimension.high, dimension.step, dimension.log
    if dimension.is_int:
        return trial.suggest_int(dimension.key, int(low), int(high), step=int(step or 1), log=log)
    return trial.suggest_float(dimension.key, low, high, step=step, log=log)
