"""Checkpoints and evaluations by epochs, whose steps may be a fraction."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cnnlab import Train
from cnnlab.base.errors import UsageError
from cnnlab.base.periods import is_due, steps_until_due
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.config.resolve import override, with_recipe
from cnnlab.run.disk.metrics_file import read_metrics
from tests import small_run


@pytest.mark.parametrize("period", [1, 4, Fraction(2625, 2), Fraction(7, 3), Fraction(1)])
def test_times_are_the_first_steps_that_complete_a_period(period: int | Fraction) -> None:
    expected = [math.ceil(k * period) for k in range(6)]
    assert [step for step in range(expected[-1] + 1) if is_due(step, period)] == expected
    step, found = 0, [0]
    while len(found) < len(expected):
        step += steps_until_due(step, period)
        found.append(step)
    assert found == expected


def test_an_epoch_of_mnist_mlp() -> None:
    given = {"config": "mnist_mlp", "checkpoint_epochs": 1, "eval_epochs": 0.1}
    config = opts.build(Config, with_recipe(given))
    assert config.checkpoint_period(42_000) == Fraction(2625, 2)
    assert config.eval_period(42_000) == Fraction(525, 4)
    assert opts.replace(config, eval_epochs=1e-6).eval_period(42_000) == 1  # not below one step
    parts = opts.build(Config, {"eval_part": "next", "eval_epochs": 1, "batch_size": 8})
    assert [parts.eval_turn(step, 20) for step in (3, 5, 8, 10)] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["eval", "checkpoint"])
def test_steps_and_epochs_exclude_each_other(name: str) -> None:
    steps, epochs = {f"{name}_steps": 7}, {f"{name}_epochs": 2.0}
    with pytest.raises(UsageError, match=f"--{name}_steps and --{name}_epochs both set the same"):
        opts.build(Config, {**steps, **epochs})
    assert override(steps, epochs) == epochs
    assert override(epochs, steps) == steps


@pytest.mark.slow
def test_a_cut_run_saves_and_evaluates_by_epochs(tmp_path: Path) -> None:
    """20 images in batches of 8 are 2.5 steps an epoch."""
    data, by_epochs = small_run.arrays(), {"checkpoint_epochs": 1, "eval_epochs": 2}
    options: dict[str, Any] = {"batch_size": 8, "max_to_keep": None, **by_epochs}
    for steps in (4, 11):
        with Train(
            model=small_run.linear, data=data, save_dir=tmp_path, steps=steps, **options
        ) as train:
            train.train()
    found = sorted(int(path.stem.partition("-")[2]) for path in tmp_path.glob("*.index"))
    assert found == [3, 4, 5, 8, 10, 11]  # and where each process ended
    lines = [line["step"] for line in read_metrics(tmp_path) if line["split"] == "val"]
    assert lines == [5, 10, 11]
