"""NaN: its step or variable is named, and --on_nan=rollback returns to a checkpoint."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest

from cnnlab import Train, layers
from cnnlab.base.errors import NonFiniteError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import current
from tests.safety.conftest import OPTIONS
from tests.safety.test_interrupts import Sender, variables


def fragile(images: Any, num_classes: int, *, training: bool) -> Any:
    """A model whose loss is NaN when the sum of all learning rates so far exceeds 1."""
    progress = tf.get_variable("progress", [], initializer=tf.zeros_initializer())
    logits = layers.dense(layers.flatten(images), num_classes, name="logits")
    if not training:
        return logits
    current().penalties.append(-progress)
    return logits + tf.where(progress > 1, math.nan, 0.0)


FRAGILE = {
    **OPTIONS,
    "model": fragile,
    "optimizer": "sgd",
    "schedule": "constant",
    "learning_rate": 1 / 13.5,  # the 15th step fails
    "on_nan": "rollback",
    "max_rollbacks": 10,
}


def run(folder: Path, *hooks: Any, **options: Any) -> dict[str, Any]:
    where = {"save_dir": str(folder), "log_dir": str(folder / "logs")}
    with Train(**{**FRAGILE, **where, **options}, hooks=hooks) as train:
        return train.train()


@pytest.mark.slow
def test_stop_names_the_step_and_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=r"the loss is nan at step 15; .*: step 10; "):
        run(tmp_path, on_nan="stop")


@pytest.mark.slow
def test_a_variable_that_is_not_finite_is_named(tmp_path: Path) -> None:
    def overflowing(images: Any, num_classes: int, *, training: bool) -> Any:
        """A penalty of 0, whose gradient makes `big` overflow float32 at step 10."""
        big = tf.get_variable("big", [], initializer=tf.constant_initializer(3e38))
        if training:
            current().penalties.append(-5.7e37 * (big - tf.stop_gradient(big)))
        return layers.dense(layers.flatten(images), num_classes, name="logits")

    with pytest.raises(NonFiniteError, match="variable big is not finite after step 10"):
        run(tmp_path, model=overflowing, on_nan="stop")


@pytest.mark.slow
def test_rollback_goes_on_at_a_lower_rate_and_finishes(tmp_path: Path) -> None:
    result = run(tmp_path / "a")
    assert result["finished"] is True
    assert result["rollbacks"] >= 1
    lines = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    rates = [line["learning_rate"] for line in lines if line["split"] == "train"]
    assert rates[-1] == pytest.approx(rates[0] * 0.5 ** result["rollbacks"])
    steps = [line["step"] for line in lines if line["split"] == "train"]
    assert steps == [5, 10, 15, 20, 25, 30]


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [12, 17, 23])
def test_stopping_around_a_rollback_changes_nothing(tmp_path: Path, stop_at: int) -> None:
    undisturbed = run(tmp_path / "a")
    run(tmp_path / "b", Sender(stop_at, signal.SIGTERM), steps_per_run=1)
    result = run(tmp_path / "b")
    assert result["rollbacks"] == undisturbed["rollbacks"]
    assert variables(tmp_path / "b", 30) == variables(tmp_path / "a", 30)


@pytest.mark.slow
def test_rollbacks_are_limited(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="after 1 rollbacks"):
        run(tmp_path, max_rollbacks=1, learning_rate=1.0)


@pytest.mark.slow
def test_a_run_with_rollback_keeps_its_checkpoint_steps(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UsageError, match="checkpoint_steps"):
        run(tmp_path, steps=40, checkpoint_steps=7)


@pytest.mark.slow
def test_a_rollback_before_the_first_checkpoint_starts_from_step_0(tmp_path: Path) -> None:
    result = run(tmp_path, learning_rate=0.2, rollback_factor=0.1)
    assert result["rollbacks"] == 1
    assert (tmp_path / "model.ckpt-10.index").exists()
