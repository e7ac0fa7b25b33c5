"""A training step is a pure function of (variables, step): runs agree bit by bit."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import commands, small_run

STEPS = small_run.OPTIONS["steps"]


def run(save_dir: Path, **options: Any) -> dict[str, Any]:
    with small_run.make(save_dir, **options) as train:
        result = train.train()
        assert result["finished"]
        assert result["step"] == STEPS
        return small_run.variables(train)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return all variables after a run with no side work and one step per session run."""
    return run(tmp_path_factory.mktemp("straight") / "save", steps_per_run=1)


def test_the_run_trains_everything_that_could_differ(
    straight: dict[str, Any], tmp_path: Path
) -> None:
    """Otherwise the tests below would compare values that cannot differ."""
    with small_run.make(tmp_path / "save") as train:
        start = small_run.variables(train)
    assert straight["global_step"] == STEPS
    for name, value in start.items():
        assert not np.array_equal(straight[name], value), name
    names = set(start)
    assert {"conv1/kernel", "norm1/moving_mean", "norm1/moving_variance", "norm1/gamma"} <= names
    assert any("Adam" in name for name in names)


SLOW_CHANGES = [pytest.param(name, marks=pytest.mark.slow) for name in ("augment", "learning_rate")]


@pytest.mark.parametrize("change", ["dropout", "penalty", *SLOW_CHANGES])
@pytest.mark.slow
def test_options_that_must_matter_do(
    change: str, straight: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "augment": {"augment": ["flip"]},
        "learning_rate": {"decay_steps": 6},
    }.get(change, {})
    if change == "dropout":
        monkeypatch.setattr(small_run.layers, "dropout", lambda x, *_args, **_kwargs: x)
    if change == "penalty":
        monkeypatch.setattr(small_run, "l2", lambda weights: 0.0 * small_run.tf.nn.l2_loss(weights))
    found = run(tmp_path / "save", **options)
    assert not np.array_equal(found["conv1/kernel"], straight["conv1/kernel"])


@pytest.mark.parametrize("steps_per_run", [1, 7, "auto"])
@pytest.mark.slow
def test_steps_per_run_and_another_run_change_nothing(
    steps_per_run: int | str, straight: dict[str, Any], tmp_path: Path
) -> None:
    small_run.assert_same_bits(run(tmp_path / "save", steps_per_run=steps_per_run), straight)


SIDE_WORK: dict[str, dict[str, Any]] = {
    "evaluation": {"eval_steps": 2, "eval_examples": 3},
    "summaries": {"summary_steps": 3},
    "layer_summaries": {"layer_summaries": True, "summary_steps": 4},
    "checkpoints": {"checkpoint_steps": 2, "max_to_keep": 1},
    "tensorboard": {"tensorboard": "all", "trace_steps": [3, 5], "eval_steps": 4},
    "profile": {"profile": True},
    "all": {
        "eval_steps": 2,
        "eval_batch_size": 3,
        "summary_steps": 3,
        "layer_summaries": True,
        "tensorboard": "all",
        "trace_steps": [5, 6],
        "checkpoint_steps": 1,
    },
}


@pytest.mark.parametrize(
    "which", [pytest.param(name, marks=[pytest.mark.slow] * (name != "all")) for name in SIDE_WORK]
)
@pytest.mark.slow
def test_side_work_changes_nothing(which: str, straight: dict[str, Any], tmp_path: Path) -> None:
    small_run.assert_same_bits(run(tmp_path / "save", **SIDE_WORK[which]), straight)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(threads: int, straight: dict[str, Any], tmp_path: Path) -> None:
    small_run.assert_same_bits(run(tmp_path / "save", inter_op_threads=threads), straight)


@pytest.mark.parametrize("first", [6, pytest.param(11, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_second_process_resumes_exactly(
    first: int, straight: dict[str, Any], tmp_path: Path
) -> None:
    with small_run.make(tmp_path / "save", steps=first) as train:
        assert train.train()["step"] == first
    small_run.assert_same_bits(run(tmp_path / "save"), straight)


@pytest.mark.slow
def test_the_same_object_resumes_exactly(straight: dict[str, Any], tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", steps=6) as train:
        train.train()
        train.evaluate()
        assert train.train(steps=STEPS)["step"] == STEPS
        small_run.assert_same_bits(small_run.variables(train), straight)


@pytest.mark.parametrize("steps", [(5, 8), pytest.param((1,), marks=pytest.mark.slow)])
@pytest.mark.slow
def test_stopping_anywhere_changes_nothing(
    steps: tuple[int, ...], straight: dict[str, Any], tmp_path: Path
) -> None:
    for step in steps:
        with small_run.make(
            tmp_path / "save", hooks=[small_run.StopAt(step)], checkpoint_steps=4
        ) as train:
            result = train.train()
        assert (result["step"], result["finished"]) == (step, False)
        assert json.loads((tmp_path / "save/result.json").read_text())["finished"] is False
    small_run.assert_same_bits(run(tmp_path / "save", checkpoint_steps=4), straight)


@pytest.mark.slow
def test_max_secs_changes_nothing(straight: dict[str, Any], tmp_path: Path) -> None:
    steps = []
    for _ in range(2):
        with small_run.make(tmp_path / "save", max_secs=1e-6, steps_per_run=3) as train:
            result = train.train()
        assert result["finished"] is False
        steps.append(result["step"])
    assert steps == [3, 6]
    small_run.assert_same_bits(run(tmp_path / "save", steps_per_run=3), straight)


@pytest.mark.slow
def test_unsaved_steps_are_made_again(straight: dict[str, Any], tmp_path: Path) -> None:
    """The run resumes from an older checkpoint, as after the newest was lost."""
    with small_run.make(tmp_path / "save", checkpoint_steps=4) as train:
        train.train(steps=12)
    for path in (tmp_path / "save").glob("model.ckpt-12.*"):
        path.unlink()
    (tmp_path / "save/result.json").unlink()
    small_run.assert_same_bits(run(tmp_path / "save", checkpoint_steps=4), straight)


FIGURES = {"eval_steps": 3, "summary_steps": 2, "checkpoint_steps": 4}
KILLED = """
import os, signal, sys
from cnnlab import Hook
from tests import small_run
class Kill(Hook):
    every_steps = 1
    def after_step(self, train, state):
        if state.step == 10:
            os.kill(os.getpid(), signal.SIGKILL)
small_run.make("save", hooks=[Kill()], **{figures}).train()
"""


def figures_of(save_dir: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl without the values that depend on the clock."""
    lines = [json.loads(line) for line in (save_dir / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name not in ("images_per_sec", "seconds")}
        for line in lines
    ]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"precision": "bfloat16"}, {"xla": True}], ids=str)
def test_a_killed_process_resumes_exactly(options: dict[str, Any], tmp_path: Path) -> None:
    options = {**FIGURES, **options}
    script = KILLED.replace("{figures}", repr(options))
    killed = commands.finish(commands.start_python("-c", script, cwd=tmp_path), tmp_path)
    assert killed.code == -signal.SIGKILL, killed.stderr
    save_dir = tmp_path / "save"
    assert (save_dir / "model.ckpt-8.index").exists()
    assert figures_of(save_dir)[-1]["step"] == 10  # after the last checkpoint
    assert not (save_dir / "result.json").exists()

    found = run(save_dir, **options)
    small_run.assert_same_bits(found, run(tmp_path / "other", **options))
    assert figures_of(save_dir) == figures_of(tmp_path / "other")
    result, expected = (
        json.loads((folder / "result.json").read_text())
        for folder in (save_dir, tmp_path / "other")
    )
    assert {**result, "seconds": 0} == {**expected, "seconds": 0}


@pytest.mark.slow
@pytest.mark.parametrize("secs", [0.0, 0.15, 0.4])
def test_a_process_killed_from_outside_resumes_exactly(secs: float, tmp_path: Path) -> None:
    """The kill comes at any moment: while the process trains, evaluates or saves."""
    options = {"steps": 1500, "checkpoint_steps": 5, "eval_steps": 7, "summary_steps": 3}
    script = f"from tests import small_run; small_run.make('save', **{options!r}).train()"
    process = commands.start_python("-c", script, cwd=tmp_path)
    while not (tmp_path / "save/metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(secs)
    process.kill()
    assert commands.finish(process, tmp_path).code == -signal.SIGKILL
    found = []
    for folder in ("save", "other"):
        with small_run.make(tmp_path / folder, **options) as train:
            assert train.train()["finished"]
            found.append(small_run.variables(train))
    small_run.assert_same_bits(found[0], found[1])
    assert figures_of(tmp_path / "save") == figures_of(tmp_path / "other")
