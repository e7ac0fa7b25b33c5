"""The whole search: usage, the real command, and that a killed search ends the same."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from cnnlab import tune as module
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.tune import tune
from cnnlab.tune.__main__ import main
from tests import commands

SPACE = "{init_stddev: [0.01, 0.1], learning_rate: [1e-3, 1e-2]}"
RUN = (
    "--dataset=shapes",
    "--model=mnist_perceptron",
    "--batch_size=50",
    "--steps=40",
    "--eval_steps=20",
    "--summary_steps=20",
    "--checkpoint_steps=20",
    "--device=cpu",
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "set the options that vary, as in --space='{dropout: [0.1, 0.2]}'"),
        (["--space={init_stddv: [1]}"], "unknown option init_stddv, or one that no search can"),
        (["--space={seed: [1, -1]}"], "--space: seed: --seed=-1 is not valid"),
        (["--space=[1]"], "--space=[1] is not valid"),
        (["--spcae={}"], "unknown option --spcae in the command line; did you mean --space?"),
        (["--space={seed: [1]}", "--workers=0"], "--workers=0 is not valid"),
        (["--space={seed: [1]}", "--sampler=gird"], "--sampler=gird is not valid"),
        (
            ["--space={learning_rate: {low: 1e-4, high: 1e-1}}", "--sampler=grid"],
            "learning_rate is a range without a step, so it has no grid",
        ),
    ],
)
def test_wrong_usage(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*RUN, *words])
    assert end.value.code == 2
    found = commands.assert_one_error_line(capsys.readouterr().err)
    assert message.split(", or one")[0] in found
    assert list(tmp_path.iterdir()) == []


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help=all"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for part in ("--space=MAPPING|TEXT", "log: true", "--sampler=auto|grid|random|tpe", "--epochs"):
        assert part in text


def test_optuna_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CnnlabError, match=r"tune needs Optuna: pip install 'cnnlab\[tune\]'"):
        tune({"seed": [1, 2]}, dataset="shapes")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(UsageError, match=r"holds a run, not a study; choose .*-2$"):
        tune({"seed": [1, 2]}, dataset="shapes", save_dir=str(tmp_path))


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_event_files_of_another_study_are_kept(overwrite: bool, tmp_path: Path) -> None:
    events = tmp_path / "logs/trial-0000/val/events.out.tfevents.1.x"
    events.parent.mkdir(parents=True)
    events.write_text("x")
    places = {"save_dir": str(tmp_path / "new"), "log_dir": str(tmp_path / "logs")}
    with pytest.raises(UsageError, match=r"of another study; .* --log_dir=.*/logs-2$"):
        tune({"seed": [1, 2]}, dataset="shapes", overwrite=overwrite, **places)
    assert events.read_text() == "x"
    assert not (tmp_path / "new").exists()


def start(folder: Path, *words: str) -> Any:
    return commands.start("cnnlab.tune", *RUN, "--json", *words, cwd=folder)


def finished(folder: Path, *words: str) -> Any:
    done = commands.finish(start(folder, *words), folder)
    assert done.code == 0, done.stderr
    assert "Warning" not in done.stderr
    return json.loads(done.stdout)


def outcome(summary: Any) -> list[Any]:
    """The part of the results that does not depend on time."""
    return [(t["trial"], t["state"], t["params"], t["value"]) for t in summary["trials"]]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The results of a grid that two workers search without interruption, and its folder."""
    folder = tmp_path_factory.mktemp("searched")
    return finished(folder, f"--space={SPACE}", "--workers=2"), folder


@pytest.mark.slow
def test_the_grid(searched: Any) -> None:
    summary, folder = searched
    assert summary["finished"] is True
    points = [(t["params"]["init_stddev"], t["params"]["learning_rate"]) for t in summary["trials"]]
    assert points == [(0.01, 1e-3), (0.01, 1e-2), (0.1, 1e-3), (0.1, 1e-2)]
    best = max(summary["trials"], key=lambda trial: trial["value"])
    assert summary["best"]["trial"] == best["trial"]
    assert summary["best"]["params"] == best["params"]
    run = folder / f"tune/trial-{best['trial']:04d}"
    result = json.loads((run / "result.json").read_text())
    assert summary["best"]["test_accuracy"] == result["accuracy"]
    assert (folder / "tune/logs/trial-0003/val").is_dir()
    assert [path.name for path in folder.iterdir()] == ["tune"]


@pytest.mark.slow
def test_the_best_recipe_repeats_the_trial(searched: Any) -> None:
    summary, folder = searched
    recipe = summary["best"]["recipe"]
    assert recipe == "tune/best.yaml"
    words = [f"--config={recipe}", "--save_dir=again", "--device=cpu", "--json"]
    done = commands.finish(commands.start("cnnlab.train", *words, cwd=folder), folder)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"] == summary["best"]["test_accuracy"]


@pytest.mark.slow
def test_a_killed_and_resumed_study_ends_the_same(searched: Any, tmp_path: Path) -> None:
    """The search is killed with `kill -9` while the second trial runs."""
    killed = start(tmp_path, f"--space={SPACE}")
    while not (tmp_path / "tune/trial-0001/metrics.jsonl").exists():
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    first = (tmp_path / "tune/trial-0000/result.json").stat().st_mtime_ns
    summary = finished(tmp_path, f"--space={SPACE}", "--workers=2")
    assert outcome(summary) == outcome(searched[0])
    assert (tmp_path / "tune/trial-0000/result.json").stat().st_mtime_ns == first


@pytest.mark.slow
def test_interrupted(tmp_path: Path) -> None:
    words = (f"--space={SPACE}", "--steps=1000000")
    process = start(tmp_path, *words)
    while not (tmp_path / "tune/trial-0000/checkpoint").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    done = commands.finish(process, tmp_path)
    assert done.code == 130, done.stderr
    assert done.stdout == ""
    assert commands.assert_one_error_line(done.stderr) == "interrupted by SIGINT"
    result = json.loads((tmp_path / "tune/trial-0000/result.json").read_text())
    assert result["finished"] is False  # the worker has saved the trial
    again = finished(tmp_path, *words, "--max_secs=3")
    assert again["finished"] is False
    assert again["trials"][0]["state"] == "waiting"
    log = (tmp_path / "tune/worker-1.log").read_text()
    assert f"resuming from step {result['step']} of tune/trial-0000" in log


@pytest.mark.slow
def test_a_diverged_trial_more_trials_and_other_options(tmp_path: Path) -> None:
    words = ["--space={learning_rate: [1e38, 1e-3, 1e-2]}", "--optimizer=sgd", "--sampler=grid"]
    summary = finished(tmp_path, *words, "--trials=2", "--storage=sqlite:///elsewhere.db")
    assert [trial["state"] for trial in summary["trials"]] == ["failed", "complete"]
    assert "finite" in summary["trials"][0]["error"] or "loss" in summary["trials"][0]["error"]
    assert not (tmp_path / "tune/study.db").exists()
    words.append("--storage=sqlite:///elsewhere.db")
    more = finished(tmp_path, *words)
    assert outcome(more)[:2] == outcome(summary)
    assert len(more["trials"]) == 3
    other = commands.finish(start(tmp_path, *words, "--seed=2"), tmp_path)
    assert other.code == 2
    message = commands.assert_one_error_line(other.stderr)
    assert message.startswith("the study tune has other options: seed (1 there, 2 here); choose")
    replaced = finished(tmp_path, *words, "--seed=2", "--overwrite", "--trials=2")
    assert len(replaced["trials"]) == 2
    assert not (tmp_path / "tune/trial-0002").exists()


@pytest.mark.slow
def test_pruning(tmp_path: Path) -> None:
    """From the second trial on, only the best third continues after the first evaluation."""
    space = "{init_stddev: [0.001, 100.0], seed: [1, 2, 3]}"
    words = [f"--space={space}", "--pruner=halving", "--learning_rate=1e-5", "--metric=loss"]
    summary = finished(tmp_path, *words)
    states = {trial["trial"]: trial["state"] for trial in summary["trials"]}
    assert [states[number] for number in (3, 4, 5)] == ["pruned"] * 3
    assert summary["best"]["params"]["init_stddev"] == 0.001
    result = json.loads((tmp_path / "tune/trial-0005/result.json").read_text())
    assert (result["step"], result["finished"]) == (20, False)
