"""Signals during a run."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from cnnlab import Hook, Train
from cnnlab.base.signals import Interrupted, signals_raised
from cnnlab.run.disk.checkpoint import Checkpoints
from tests import commands, small_run
from tests.safety.conftest import OPTIONS
from tests.safety.test_checkpoints import train_on
from tests.safety.test_events import drawn


class Sender(Hook):
    """Sends this process a signal after a step."""

    def __init__(self, step: int, number: int) -> None:
        self.every_steps = step
        self._number = number
        self.is_done = False

    def after_step(self, train: Train, state: Any) -> None:
        if not self.is_done:
            self.is_done = True
            os.kill(os.getpid(), self._number)


def variables(run: Path, step: int) -> dict[str, bytes]:
    reader = Checkpoints(run)
    from cnnlab.base.tf1 import tf

    found = tf.train.load_checkpoint(str(reader.path(step)))
    return {name: found.get_tensor(name).tobytes() for name in found.get_variable_to_shape_map()}


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_a_stop_signal_saves_and_resuming_is_exact(
    number: int, tmp_path: Path, finished_run: Path
) -> None:
    options = {**OPTIONS, "save_dir": str(tmp_path / "a"), "log_dir": str(tmp_path / "logs")}
    with Train(**options, hooks=[Sender(7, number)]) as train:
        result = train.train()
        assert train.control.stop_signal == number
    assert result["finished"] is False
    assert json.loads((tmp_path / "a" / "result.json").read_text())["finished"] is False
    assert Checkpoints(tmp_path / "a").steps() == [result["step"]]
    assert 7 <= result["step"] < 10
    train_on(tmp_path / "a")
    assert variables(tmp_path / "a", 30) == variables(finished_run, 30)


@pytest.mark.slow
def test_an_evaluation_interrupted_by_a_stop_is_made_when_the_run_resumes(
    tmp_path: Path, finished_run: Path
) -> None:
    class StopInEvaluation(Train):
        def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            if self.step == 10:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().evaluate(*args, **kwargs)

    options = {**OPTIONS, "save_dir": str(tmp_path / "a"), "log_dir": str(tmp_path / "logs")}
    with StopInEvaluation(**options) as train:
        assert train.train()["step"] == 10
    assert "val" not in (tmp_path / "a" / "metrics.jsonl").read_text()
    train_on(tmp_path / "a")
    kept = []
    for run in (tmp_path / "a", finished_run):
        lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        kept.append([{**line, "images_per_sec": 0, "seconds": 0} for line in lines])
    assert kept[0] == kept[1]


@pytest.mark.slow
def test_a_run_stopped_in_the_final_evaluation_is_not_finished(tmp_path: Path) -> None:
    class StopAtTheEnd(Train):
        def evaluate(self, split: Any = "test", *args: Any, **kwargs: Any) -> dict[str, Any]:
            if split == "test":
                os.kill(os.getpid(), signal.SIGTERM)
            return super().evaluate(split, *args, **kwargs)

    options = {**OPTIONS, "save_dir": str(tmp_path / "a"), "log_dir": str(tmp_path / "logs")}
    with StopAtTheEnd(**options) as train:
        result = train.train()
    assert (result["step"], result["finished"]) == (30, False)
    assert train_on(tmp_path / "a")["finished"] is True


@pytest.mark.slow
def test_sigusr1_saves_and_goes_on(tmp_path: Path) -> None:
    options = {**OPTIONS, "save_dir": str(tmp_path / "a"), "log_dir": str(tmp_path / "logs")}
    with Train(**options, hooks=[Sender(7, signal.SIGUSR1)], steps_per_run=1) as train:
        assert train.train()["finished"] is True
    assert len(Checkpoints(tmp_path / "a").steps()) == 4  # 10, 20, 30 and the requested one


def test_before_the_loop_a_stop_signal_ends_the_process_and_sigusr1_does_not() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    with signals_raised():
        os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(Interrupted) as caught:
            os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.number == signal.SIGTERM
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1)] == before


class StopIn(Train):
    """Gets SIGTERM while it evaluates on the validation set after step 6."""

    def evaluate(self, split: Any = "test", *args: Any, **kwargs: Any) -> dict[str, Any]:
        if self.step == 6 and split == "validation":
            os.kill(os.getpid(), signal.SIGTERM)
        return super().evaluate(split, *args, **kwargs)


PLATEAU: dict[str, Any] = {
    "batch_size": 8,
    "eval_steps": 2,
    "summary_steps": 3,
    "checkpoint_steps": 4,
    "schedule": "plateau",
    "plateau_patience": 2,
    "optimizer": "sgd",
    "learning_rate": 1e-12,
    "model": "mnist_perceptron",
    "validation_split": 0.2,
    "device": "cpu",
    "steps_per_run": 1,
}


def plateau_run(folder: Path, steps: int, kind: type[Train] = Train, **more: Any) -> dict[str, Any]:
    """Train on, and return the variables."""
    given = {**PLATEAU, "save_dir": str(folder), "log_dir": str(folder / "logs")}
    with kind(data=small_run.arrays(), steps=steps, **given, **more) as train:
        train.train()
        return small_run.variables(train)


def assert_like_the_whole_run(folder: Path, found: dict[str, Any]) -> None:
    whole = plateau_run(folder / "whole", 12)
    assert whole["plateau/reductions"] == 2
    small_run.assert_same_bits(found, whole)
    assert drawn(folder / "run/logs/val", "accuracy") == [2, 4, 6, 8, 10, 12]


@pytest.mark.slow
def test_a_kill_after_an_evaluation_that_was_made_up_loses_nothing(tmp_path: Path) -> None:
    plateau_run(tmp_path / "run", 12, StopIn)
    assert Checkpoints(tmp_path / "run").steps()[-1] == 6
    program = (
        "import signal; from pathlib import Path; from tests.safety.test_interrupts import *\n"
        "plateau_run(Path('run'), 12, hooks=[Sender(7, signal.SIGKILL)])"
    )
    killed = commands.finish(commands.start_python("-c", program, cwd=tmp_path), tmp_path)
    assert killed.code == -signal.SIGKILL, killed.stderr
    assert Checkpoints(tmp_path / "run").steps()[-1] == 6
    assert '"step": 6, "split": "val"' in (tmp_path / "run/metrics.jsonl").read_text()
    assert_like_the_whole_run(tmp_path, plateau_run(tmp_path / "run", 12))


@pytest.mark.slow
def test_an_interrupted_last_evaluation_counts_in_a_longer_run(tmp_path: Path) -> None:
    plateau_run(tmp_path / "run", 6, StopIn)
    plateau_run(tmp_path / "run", 6)
    assert_like_the_whole_run(tmp_path, plateau_run(tmp_path / "run", 12))
