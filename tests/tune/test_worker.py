"""How the trials of a worker end, and that an interrupted trial ends the same."""

import math
from pathlib import Path
from typing import Any

import pytest

from cnnlab.config.config import Config
from cnnlab.config.options import as_dict
from cnnlab.run.disk.metrics_file import read_metrics
from cnnlab.tune.worker import run_trial

OPTIONS = {
    "dataset": "shapes",
    "model": "mnist_perceptron",
    "model_options": {"init_stddev": 0.01},
    "batch_size": 50,
    "steps": 30,
    "eval_steps": 10,
    "summary_steps": 100,
    "checkpoint_steps": 10,
    "validation_split": 0.1,
    "device": "cpu",
}


def job(folder: Path, prunes: bool = True, **options: Any) -> dict[str, Any]:
    given = as_dict(Config(**{**OPTIONS, **options}))
    places = {"save_dir": str(folder / "trial-0007"), "log_dir": str(folder / "logs/trial-0007")}
    return {
        "trial": 7,
        "options": {**given, **places},
        "metric": "loss",
        "prunes": prunes,
        "values": {"init_stddev": 0.01},
    }


class Answers:
    """Answers the worker: prunes at one evaluation, and records the questions."""

    def __init__(self, prune_at: int | None = None) -> None:
        self.asked: list[Any] = []
        self._prune_at = prune_at

    def __call__(self, message: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(message["evaluations"])
        return {"prune": message["evaluations"][-1][0] == self._prune_at}


def losses(folder: Path) -> list[float]:
    lines = read_metrics(folder / "trial-0007")
    return [line["loss"] for line in lines if line["split"] == "val"]


@pytest.mark.slow
def test_complete_and_again(tmp_path: Path) -> None:
    answers = Answers()
    answer = run_trial(job(tmp_path), answers)
    first, second, last = losses(tmp_path)
    assert (answer["ending"], answer["step"], answer["value"]) == ("complete", 30, last)
    assert 0 <= answer["test_accuracy"] <= 1
    assert answers.asked == [[(1, first)], [(1, first), (2, second)]]  # not after the last step
    assert run_trial(job(tmp_path), answers) == answer  # as if killed before it was reported


@pytest.mark.slow
def test_pruned_and_resumed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    answer = run_trial(job(tmp_path / "a"), Answers(prune_at=2))
    assert (answer["ending"], answer["step"]) == ("pruned", 20)
    # As if killed before the answer arrived: it asks again, before any step.
    answers = Answers(prune_at=2)
    assert run_trial(job(tmp_path / "a"), answers)["ending"] == "pruned"
    assert len(answers.asked) == 1
    # The run can be resumed and ends like any other.
    resumed = run_trial(job(tmp_path / "a", prunes=False), answers)
    whole = run_trial(job(tmp_path / "b"), Answers())
    assert resumed["value"] == whole["value"]
    assert resumed["test_accuracy"] == whole["test_accuracy"]


@pytest.mark.slow
def test_the_final_weights_are_measured(tmp_path: Path) -> None:
    options = {"restore_best": True, "monitor": "loss", "learning_rate": 0.5}
    answer = run_trial(job(tmp_path, **options), Answers())
    found = losses(tmp_path)
    assert answer["value"] == min(found)
    assert min(found) != found[-1]  # otherwise, the last weights would pass, too


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "ending", "message"),
    [
        ({"optimizer": "sgd", "learning_rate": 1e38}, "failed", "not finite|the loss is"),
        ({"model_options": {"no": 1}}, "failed", "the model takes no no"),
        ({"dataset": "mnist", "data_dir": "/proc/none"}, "error", "."),
    ],
)
def test_trials_that_fail(
    options: dict[str, Any], ending: str, message: str, tmp_path: Path
) -> None:
    answer = run_trial(job(tmp_path, **options), Answers())
    assert answer["ending"] == ending
    with pytest.raises(ValueError, match=message):
        raise ValueError(answer["error"])


@pytest.mark.slow
def test_out_of_time(tmp_path: Path) -> None:
    assert run_trial(job(tmp_path, max_secs=1e-3), Answers()) == {"ending": "stopped"}
    assert run_trial(job(tmp_path), Answers())["ending"] == "complete"
    assert all(math.isfinite(loss) for loss in losses(tmp_path))


@pytest.mark.slow
def test_metrics_without_an_evaluation_are_named(tmp_path: Path) -> None:
    run_trial(job(tmp_path), Answers())
    path = tmp_path / "trial-0007/metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"val"' not in line))
    answer = run_trial(job(tmp_path), Answers())
    assert answer["ending"] == "error"
    assert answer["error"] == f"{path} has no evaluation on the validation set"
