"""What hooks of the user's own may do: add to the graph, log figures, see evaluations."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnnlab import Hook, Train, tf
from cnnlab.base.errors import CnnlabError, UsageError
from tests import small_run


class Watching(Hook):
    """Adds a norm and a counter to the graph, and logs both."""

    every_steps = 2

    def __init__(self) -> None:
        self.evaluations: list[Any] = []

    def build(self, train: Any) -> None:
        weights = [v for v in tf.trainable_variables() if v.op.name == "logits/kernel"]
        self.norm = tf.norm(weights[0].read_value())
        counter = tf.get_variable(
            "calls", [], tf.int64, tf.zeros_initializer(), trainable=False, use_resource=True
        )
        self.count = counter.assign_add(1)

    def after_step(self, train: Any, state: Any) -> None:
        norm, calls = train.session.run([self.norm, self.count])
        train.log("norm", norm)
        train.log("calls", calls)

    def after_evaluation(self, train: Any, figures: Any) -> None:
        self.evaluations.append((train.step, figures["accuracy"]))
        train.log("error", 1 - figures["accuracy"])


def make(folder: Path, hooks: list[Hook], **options: Any) -> Train:
    return small_run.make(
        folder, small_run.linear, hooks=hooks, **{**small_run.BUSY, "quiet": True, **options}
    )


def lines_of(folder: Path, split: str = "log") -> list[Any]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["split"] == split]


def figures_of(folder: Path) -> list[Any]:
    """Return what is a function of the weights: the counter also counts repeated steps."""
    return [line for line in lines_of(folder) if "calls" not in line]


def test_a_hook_adds_to_the_graph_and_logs(tmp_path: Path) -> None:
    hook = Watching()
    with make(tmp_path / "run", [hook]) as train:
        train.train()
        kernel = small_run.variables(train)["logits/kernel"]
        history = train.history
    steps = [2, 4, 6, 8, 9]
    assert [step for step, _ in hook.evaluations] == steps
    lines = lines_of(tmp_path / "run")
    assert [n["step"] for n in lines if "error" in n] == steps
    assert [n["calls"] for n in lines if "calls" in n] == [1, 2, 3, 4, 5]
    (last,) = (n["norm"] for n in lines if "norm" in n and n["step"] == 9)
    assert last == pytest.approx(np.linalg.norm(kernel), rel=1e-5)
    assert history.logged["norm"]["step"].tolist() == steps
    assert history.logged["norm"]["norm"][-1] == last
    assert history.validation["step"].tolist() == steps
    events = EventAccumulator(str(tmp_path / "run-logs" / "train"))
    events.Reload()
    assert [point.step for point in events.Scalars("norm")] == steps


@pytest.mark.slow
def test_a_hook_that_only_looks_changes_no_bit(tmp_path: Path) -> None:
    with make(tmp_path / "with", [Watching()]) as train:
        train.train()
        found = small_run.variables(train)
    assert found.pop("calls") == 5
    without = small_run.run(tmp_path / "without", small_run.linear, **small_run.BUSY)
    small_run.assert_same_bits(found, without)


@pytest.mark.slow
def test_a_resumed_run_logs_what_a_whole_one_does(tmp_path: Path) -> None:
    with make(tmp_path / "whole", [Watching()]) as train:
        train.train()
    for _ in range(2):
        with make(tmp_path / "cut", [Watching(), small_run.StopAt(4)]) as train:
            train.train()
    with make(tmp_path / "cut", [Watching()]) as train:
        assert train.train()["finished"]
    assert figures_of(tmp_path / "cut") == figures_of(tmp_path / "whole")


class Killed(Hook):
    """Kills the process in the middle of an evaluation, after its figure is logged."""

    def after_evaluation(self, train: Any, figures: Any) -> None:
        if train.step == 4:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_run_has_no_line_twice(tmp_path: Path) -> None:
    options = {"checkpoint_steps": 2, "eval_steps": 4}
    with make(tmp_path / "whole", [Watching()], **options) as train:
        train.train()
    command = [sys.executable, "-c", KILLED_PROGRAM, str(tmp_path / "killed")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with make(tmp_path / "killed", [Watching()], **options) as train:
        assert train.train()["finished"]
    assert figures_of(tmp_path / "killed") == figures_of(tmp_path / "whole")


KILLED_PROGRAM = """
import sys
from pathlib import Path
from tests.run.test_own_hooks import Killed, Watching, make
with make(Path(sys.argv[1]), [Watching(), Killed()], checkpoint_steps=2, eval_steps=4) as train:
    train.train()
"""


@pytest.mark.slow
def test_a_repeated_evaluation_does_not_log_again(tmp_path: Path) -> None:
    """A signal comes between a figure of an evaluation and the line of the evaluation."""
    with make(tmp_path / "run", [Watching(), small_run.StopAt(4)]) as train:
        train.train()
    path = tmp_path / "run" / "metrics.jsonl"
    kept = [
        line
        for line in path.read_text().splitlines()
        if not ('"split": "val"' in line and '"step": 4' in line)
    ]
    path.write_text("\n".join(kept) + "\n")
    hook = Watching()
    with make(tmp_path / "run", [hook]) as train:
        train.train()
    assert hook.evaluations[0][0] == 4
    errors = [line["step"] for line in lines_of(tmp_path / "run") if "error" in line]
    assert errors == [2, 4, 6, 8, 9]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("loss", 1.0, "'loss' is taken"),
        ("", 1.0, "is not a name"),
        ("x", float("nan"), "nan is not a finite number"),
        ("x", "much", "much is not a finite number"),
    ],
)
def test_what_cannot_be_logged(tmp_path: Path, name: str, value: Any, message: str) -> None:
    class Logging(Hook):
        def begin(self, train: Any) -> None:
            train.log(name, value)

    with make(tmp_path / "run", [Logging()]) as train, pytest.raises(UsageError, match=message):
        train.train()


def test_a_name_is_logged_once_a_step(tmp_path: Path) -> None:
    class Logging(Hook):
        def begin(self, train: Any) -> None:
            train.log("x", 1)
            train.log("x", 2)

    with make(tmp_path / "run", [Logging()]) as train, pytest.raises(UsageError, match="already"):
        train.train()


def test_there_is_no_log_before_training(tmp_path: Path) -> None:
    with make(tmp_path / "run", []) as train, pytest.raises(UsageError, match="in a hook"):
        train.log("x", 1)


def test_an_error_in_build_names_the_line(tmp_path: Path) -> None:
    class Wrong(Hook):
        def build(self, train: Any) -> None:
            tf.norm("text")

    with make(tmp_path / "run", [Wrong()]) as train:
        with pytest.raises(CnnlabError, match=r"test_own_hooks\.py:\d+ \(in build\)"):
            train.train()
        assert not (tmp_path / "run" / "config.yaml").exists()
