"""Repeat the results of recipes: the table, the function and the command."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.machine import provenance
from cnnlab.config import recipes
from cnnlab.config.recipes import load_about, load_recipe
from cnnlab.evaluate import evaluate
from cnnlab.reproduce import reproduce
from cnnlab.reproduce.__main__ import main
from cnnlab.reproduce.table import Table, listing, markdown, row_of
from cnnlab.run.hooks import CheckpointHook
from tests.commands import assert_one_error_line

RECIPE = """
about: {text: Q, claimed: 0.25}
dataset: shapes
model: mnist_perceptron
model_options: {init_stddev: 0.01}
learning_rate: 0.0005
batch_size: 50
steps: 40
summary_steps: 10
eval_steps: 40
checkpoint_steps: 10
tta: mirror
"""


@pytest.fixture(autouse=True)
def _own_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "other.yaml").write_text(RECIPE.replace(", claimed: 0.25", ""))
    monkeypatch.setattr(recipes, "RECIPE_DIRS", (folder,))


def row(name: str = "tiny", accuracies: tuple[float, ...] = (0.5, 0.25)) -> dict[str, Any]:
    figures = {"step": 40, "seconds": 2.0, "images_per_sec": 100.0, "train_accuracy": 0.75}
    figures |= {"test_loss": 0.7}
    results = [
        {"seed": seed, "accuracy": accuracy, **figures}
        for seed, accuracy in enumerate(accuracies, 1)
    ]
    machine = {"cpu": "C", "cpu_features": ["avx2"], "cores": 2, "ram_gb": 4.0, "system": "Linux"}
    where = {"machine": machine, "versions": {"python": "3"}, "commit": "abc"}
    return row_of(name, {"text": "Q", "claimed": 0.3}, results, where)


def test_a_row_has_the_mean_over_the_seeds() -> None:
    found = row()
    assert found["reached"] == 0.375
    assert found["accuracies"] == [0.5, 0.25]
    assert (found["claimed"], found["seeds"], found["steps"]) == (0.3, [1, 2], 40)
    assert (found["train_accuracies"], found["accuracies_without_views"]) == ([0.75, 0.75], None)
    assert (found["test_losses"], found["train_losses"]) == ([0.7, 0.7], None)


def test_a_table_keeps_other_rows_and_replaces_its_own(tmp_path: Path) -> None:
    path = tmp_path / "t" / "table.json"
    path.parent.mkdir()
    first, second = Table(path), Table(path)  # as in two processes that run at the same time
    first.put(row("b"))
    second.put(row("a"))
    first.put(row("b", (0.75,)))
    assert [(r["system"], r["reached"]) for r in json.loads(path.read_text())] == [
        ("a", 0.375),
        ("b", 0.75),
    ]


@pytest.mark.parametrize("content", ["{", "3", "[1]", "[{}]"])
def test_a_file_that_is_not_a_table(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(CnnlabError, match=r"t\.json is not a table of results"):
        Table(tmp_path / "t.json")


def test_rows_that_are_written_at_the_same_time_are_all_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t/table.json"
    path.parent.mkdir()
    tables = {name: Table(path) for name in "abcd"}
    original = Table.rows

    def slowly(self: Table) -> list[dict[str, Any]]:
        found = original(self)
        time.sleep(0.1)
        return found

    monkeypatch.setattr(Table, "rows", slowly)
    with ThreadPoolExecutor() as pool:  # a lock belongs to the opened folder, not to the process
        list(pool.map(lambda name: tables[name].put(row(name)), tables))
    assert [found["system"] for found in original(tables["a"])] == list("abcd")
    assert list(path.parent.iterdir()) == [path]


def test_a_run_without_throughput_is_named() -> None:
    results = [{"seed": 1, "step": 4, "accuracy": 0.5, "seconds": 2.0, "images_per_sec": None}]
    with pytest.raises(CnnlabError, match=r"tiny: metrics\.jsonl of a run has no line of the s"):
        row_of("tiny", {}, results, {})
    state = {"system": "a", "claimed": None, "reached": None, "steps": 9, "steps_made": 1}
    assert "unknown" in listing([{**state, "seconds_left": float("inf")}])


def test_the_table_as_markdown() -> None:
    lines = markdown([row(), row("one", (0.5,))]).splitlines()
    end = "75.00% | 40 | 2 | 100 | abc |"
    assert lines[2] == f"| Q | `tiny` | 30.00% | none | 37.50% (50.00%, 25.00%) | {end}"
    assert lines[3] == f"| Q | `one` | 30.00% | none | 50.00% | {end}"
    assert lines[5:] == ["C (avx2), 2 cores, 4.0 GB; python 3."]


def test_the_listing_shows_the_time_left() -> None:
    states = [
        {"system": "a", "claimed": 0.5, "reached": None, "steps": 9, "steps_made": 3}
        | {"seconds_left": 90.0},
        {"system": "bb", "claimed": None, "reached": 0.4, "steps": 9, "steps_made": 0}
        | {"seconds_left": None},
    ]
    assert listing(states).split("\n") == [
        "recipe  claimed  reached  steps done  time left",
        "a        50.00%                  3/9      2 min",
        "bb         none   40.00%         0/9    unknown",
        "all                                       2 min",
        "without 1 whose speed is unknown; --quick measures it",
    ]


def test_the_facts_of_a_recipes_text_are_not_options() -> None:
    assert load_about("tiny") == {"text": "Q", "claimed": 0.25}
    assert "about" not in load_recipe("tiny")
    path = recipes.recipe_paths()["tiny"]
    wrongs = ["3", "{claimed: 2.0}", "{claimed: x}", "{colour: red}", "{aim: 9}", "{chosen: 3}"]
    wrongs += ["{claimed_with: luck}", "{claimed_loss: -0.1}", "{claimed_train_loss: .nan}"]
    for wrong in wrongs:
        path.write_text(f"about: {wrong}\n")
        with pytest.raises(UsageError, match="recipe tiny: about may only have"):
            load_about("tiny")


def test_unknown_names_are_reported_first() -> None:
    with pytest.raises(UsageError, match=r"unknown recipe tini; did you mean tiny\?"):
        reproduce(["tini"])


@pytest.mark.slow
def test_it_runs_to_the_end_and_writes_the_result(capsys: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["tiny", "--seeds=2", "--json"])
    assert stopped.value.code == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert json.loads(Path("results/reproduction.json").read_text()) == [found]
    results = [
        json.loads(Path(f"save/reproduce/tiny/seed-{seed}/result.json").read_text())
        for seed in (1, 2)
    ]
    assert found["accuracies"] == [result["accuracy"] for result in results]
    assert found["accuracies"][0] != found["accuracies"][1]
    for seed, accuracy in enumerate(found["train_accuracies"], 1):
        measured = evaluate(f"save/reproduce/tiny/seed-{seed}", split="train", tta="none")
        assert measured["accuracy"] == accuracy
        assert measured["n"] > 1000
    without = evaluate("save/reproduce/tiny/seed-1", tta="none")
    assert found["accuracies_without_views"][0] == without["accuracy"] != found["accuracies"][0]
    assert found["test_losses"][0] == without["loss"]
    assert found["train_losses"][1] == measured["loss"]
    recorded = yaml.safe_load(Path("save/reproduce/tiny/seed-1/config.yaml").read_text())
    for name, here in provenance().items():
        assert recorded[name] == found[name] == here
    assert found["tta"] == "mirror"
    assert found["options"] == load_recipe("tiny")
    with pytest.raises(SystemExit):
        main(["--list", "--json", "--seeds=2"])
    other, tiny = json.loads(capsys.readouterr().out)
    assert (tiny["steps_made"], tiny["seconds_left"], tiny["reached"]) == (80, 0, found["reached"])
    assert (other["steps_made"], other["seconds_left"]) == (0, None)
    with pytest.raises(SystemExit):
        main(["other", "--quick"])
    with pytest.raises(SystemExit):
        main(["--list", "--json"])
    other, _ = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert other["seconds_left"] > 0
    assert len(json.loads(Path("results/reproduction.json").read_text())) == 1  # not of --quick


@pytest.mark.slow
def test_it_resumes_after_a_signal(monkeypatch: Any, capsys: Any) -> None:
    save = CheckpointHook.after_step

    def signalled(self: Any, train: Any, state: Any) -> None:
        save(self, train, state)
        if state.step == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(CheckpointHook, "after_step", signalled)
    with pytest.raises(SystemExit) as stopped:
        main(["tiny"])
    assert stopped.value.code == 143
    assert not Path("results/reproduction.json").exists()
    monkeypatch.setattr(CheckpointHook, "after_step", save)
    with pytest.raises(SystemExit) as finished:
        main(["tiny"])
    assert finished.value.code == 0
    assert "resuming from step 2" in capsys.readouterr().err
    assert json.loads(Path("results/reproduction.json").read_text())[0]["steps"] == 40


def test_a_damaged_table_is_reported_before_a_run(capsys: Any) -> None:
    Path("results").mkdir()
    Path("results/reproduction.json").write_text("[")
    with pytest.raises(SystemExit) as stopped:
        main(["tiny"])
    assert stopped.value.code == 1
    assert "is not a table of results" in assert_one_error_line(capsys.readouterr().err)
    assert not Path("save").exists()
