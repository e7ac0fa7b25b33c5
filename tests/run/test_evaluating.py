"""Early stopping, the best weights, and the plateau schedule."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from cnnlab import Train
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.evaluating import EarlyStopping, Evaluation
from tests import small_run

OPTIONS: dict[str, Any] = {
    **small_run.BUSY,
    "steps": 60,
    "validation_split": 0.2,
    "schedule": "constant",
    "optimizer": "sgd",
    "learning_rate": 1e-12,  # too small for any improvement
    "model": "mnist_perceptron",
}


class FakeRun:
    """A run that only records why it was stopped."""

    class config:  # noqa: N801
        monitor = "accuracy"

    stopped = ""

    def stop(self, reason: str) -> None:
        self.stopped = reason


def test_patience_counts_evaluations_without_a_better_one() -> None:
    run: Any = FakeRun()
    stopping = EarlyStopping(3, [])
    for accuracy in (0.2, 0.3, 0.3, 0.1, 0.4, 0.4, 0.4):
        stopping.after(run, Evaluation(1, {"accuracy": accuracy}, True))
        assert not run.stopped
    stopping.after(run, Evaluation(1, {"accuracy": 0.39}, True))
    assert run.stopped == "validation accuracy not better 3 times in a row"


def test_a_run_stops_early_and_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_run.make(tmp_path, early_stopping=3, **OPTIONS) as train:
        result = train.train()
    assert result["stopped_early"] is True
    assert result["finished"] is True
    assert result["step"] == 8  # evaluations at 2, 4, 6, 8: the first is the best
    assert result["best"]["step"] == 2
    assert 0 <= result["accuracy"] <= 1
    with small_run.make(tmp_path, early_stopping=3, **OPTIONS) as train:
        assert train.train() == result
        assert train._session is None  # the finished run was not started again
    assert "finished, at step 8; early stopping ended it; --overwrite" in capsys.readouterr().err


def test_a_run_killed_after_early_stopping_stops_again(tmp_path: Path) -> None:
    with small_run.make(tmp_path, early_stopping=3, **OPTIONS) as train:
        result = train.train()
    (tmp_path / "result.json").unlink()
    with small_run.make(tmp_path, early_stopping=3, **OPTIONS) as train:
        again = train.train()
    assert {**again, "seconds": 0} == {**result, "seconds": 0}


def test_the_best_weights_are_restored(tmp_path: Path) -> None:
    """The learning rate ruins the weights, so the first evaluation is the best."""
    options = {**OPTIONS, "learning_rate": 1e3, "monitor": "loss"}
    with small_run.make(tmp_path, early_stopping=2, restore_best=True, **options) as train:
        result = train.train()
        weights = small_run.variables(train)
        figures = train.evaluate()
    assert result["weights"] == "best"
    assert weights["global_step"] == result["best"]["step"] < result["step"]
    assert figures["accuracy"] == result["accuracy"]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = {line["step"]: line["loss"] for line in lines if line["split"] == "val"}
    assert result["best"] == {
        "step": min(losses, key=lambda step: losses[step]),
        "accuracy": result["best"]["accuracy"],
        "loss": min(losses.values()),
    }


def test_the_plateau_reduces_the_rate_after_its_patience(tmp_path: Path) -> None:
    options = {**OPTIONS, "schedule": "plateau", "plateau_patience": 2, "plateau_factor": 0.5}
    options |= {"plateau_min_rate": 2e-13, "steps": 16, "summary_steps": 2}
    with small_run.make(tmp_path, **options) as train:
        train.train()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    rates = [line["learning_rate"] / 1e-12 for line in lines if line["split"] == "train"]
    # Step 2 is the best; the rate falls after every two evaluations: at 6, 10 and 14.
    expected = [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.2]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_the_plateau_s_state_survives_a_stop(tmp_path: Path, monitor: str) -> None:
    options = {**OPTIONS, "schedule": "plateau", "plateau_patience": 3, "monitor": monitor}
    options["steps"] = 12
    whole = small_run.run(tmp_path / "whole", **options)
    assert whole["plateau/reductions"] == 1
    for stop in (5, 6):
        folder = tmp_path / f"stopped{stop}"
        with small_run.make(folder, hooks=[small_run.StopAt(stop)], **options) as train:
            train.train()
        small_run.assert_same_bits(whole, small_run.run(folder, **options))


class Scored(Train):
    """A run whose accuracy on the validation set is made up."""

    scores: ClassVar[dict[int, float]] = {}

    def evaluate(self, split: Any = "test", *args: Any, **kwargs: Any) -> dict[str, Any]:
        figures = super().evaluate(split, *args, **kwargs)
        return {**figures, "accuracy": self.scores[self.step]} if split == "validation" else figures


@pytest.mark.parametrize("old_end", [4, 10])
@pytest.mark.parametrize(("last_score", "best"), [(0.4, 7), (0.6, 14)])
@pytest.mark.slow
def test_an_extended_run_is_the_run_of_that_length(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old_end: int,
    last_score: float,
    best: int,
) -> None:
    """The evaluation at the old end, the best of all, is one that the long run does not make."""
    monkeypatch.setattr(Scored, "scores", {4: 0.9, 7: 0.5, 10: 0.9, 14: last_score})
    given = {"batch_size": 8, "eval_steps": 7, "device": "cpu", "model": "mnist_perceptron"}
    given |= {"validation_split": 0.2, "restore_best": True, "checkpoint_steps": 3}

    def run(name: str, steps: int) -> tuple[dict[str, Any], dict[str, Any]]:
        folder = tmp_path / name
        where = {"save_dir": str(folder), "log_dir": str(folder / "logs")}
        with Scored(data=small_run.arrays(), steps=steps, **where, **given) as train:
            result = train.train()
            return {**result, "seconds": 0}, small_run.variables(train)

    def evaluations(name: str) -> list[tuple[int, float]]:
        lines = map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
        return [(one["step"], one["accuracy"]) for one in lines if one["split"] == "val"]

    result, _ = run("parts", old_end)
    assert result["best"] == {"step": old_end, "accuracy": 0.9}
    (result, variables), (expected, whole) = run("parts", 14), run("whole", 14)
    assert result == expected
    assert result["best"]["step"] == best == variables["global_step"]
    small_run.assert_same_bits(variables, whole)
    assert evaluations("parts") == evaluations("whole") == [(7, 0.5), (14, last_score)]
    steps = [Checkpoints(tmp_path / name / "best").steps() for name in ("parts", "whole")]
    assert steps == [[best]] * 2
