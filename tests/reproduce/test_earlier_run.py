"""A row has the facts of its runs, and only a run of the recipe's settings counts."""

import json
from pathlib import Path
from typing import Any

import pytest

from cnnlab import reproduce as reproduce_room
from cnnlab.base.errors import CnnlabError
from cnnlab.base.machine import provenance
from cnnlab.config import recipes
from cnnlab.config.resolve import resolve
from cnnlab.data.specs import DATASETS
from cnnlab.reproduce import ReproduceOptions, progress_of, reproduce
from cnnlab.run.disk.config_file import config_text

RECIPE = """
about: {text: Q, claimed: 0.25, chosen: by nobody}
dataset: shapes
model: mnist_perceptron
batch_size: 50
steps: 40
schedule: cosine
"""
CPU = {"cpu": "C", "cpu_features": [], "cores": 1, "ram_gb": 1.0, "system": "Linux"}
MADE = {"machine": CPU, "versions": {"python": "3"}, "commit": "1234567890"}


@pytest.fixture(autouse=True)
def _a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/tiny.yaml").write_text(RECIPE)
    monkeypatch.setattr(recipes, "RECIPE_DIRS", (tmp_path / "recipes",))
    monkeypatch.setattr(reproduce_room, "_other_figures", lambda *_: {})  # needs weights


def put_run(step: int, made: Any, *, seed: int = 1, is_finished: bool = True, **given: Any) -> Path:
    """Write the files of a run of the recipe with these options; all but its weights."""
    folder = Path(f"save/reproduce/tiny/seed-{seed}")
    folder.mkdir(parents=True)
    config = resolve({"config": "tiny", "seed": seed, "save_dir": str(folder), **given})
    if config.depends_on_length:
        config = resolve({**vars(config), "schedule_steps": config.total_steps(1)})
    (folder / "config.yaml").write_text(config_text(config, made, DATASETS["shapes"], {}, {}))
    (folder / f"model.ckpt-{step}.index").touch()
    figures = {"accuracy": 0.5, "loss": 0.7, "top5_accuracy": 0.9, "n": 9, "seconds": 2.0}
    result = {"step": step, "finished": True, "best": None, **figures}
    if is_finished:
        (folder / "result.json").write_text(json.dumps(result))
    line = {"step": 10, "split": "train", "seconds": 1.0, "loss": 1.0, "accuracy": 0.5}
    line |= {"learning_rate": 0.1, "images_per_sec": 100.0}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    return folder


def test_a_row_has_what_its_finished_runs_record() -> None:
    put_run(40, MADE, summary_steps=7, tta="mirror")
    put_run(40, {**MADE, "commit": "abc"}, seed=2, summary_steps=7, tta="mirror")
    (row,) = reproduce(["tiny"], seeds=2)
    assert (row["machine"], row["versions"]) == (CPU, {"python": "3"})
    assert row["commit"] == "1234567890, abc"  # one of digits alone stays a text
    assert row["options"]["summary_steps"] == 7  # of the run, not of the recipe now
    assert row["options"]["tta"] == row["tta"] == "mirror"
    assert set(row["options"]) == {*recipes.load_recipe("tiny"), "summary_steps", "tta"}
    assert row["chosen"] == "by nobody"


def test_a_run_of_an_earlier_version_has_what_is_known_now() -> None:
    put_run(40, {"versions": {"python": "2"}})
    (row,) = reproduce(["tiny"])
    assert {name: row[name] for name in MADE} == provenance() | {"versions": {"python": "2"}}


@pytest.mark.parametrize(
    ("step", "given", "difference"),
    [
        (60, {"steps": 60}, "60 steps, and the recipe has 40"),
        (20, {"steps": 60}, "a schedule of 60 steps, and the recipe's has 40"),
        (20, {"augment": ["flip"]}, "another value of augment than the recipe"),
    ],
)
def test_a_run_of_other_settings_is_refused(step: int, given: Any, difference: str) -> None:
    folder = put_run(step, MADE, is_finished=step == 60, **given)
    with pytest.raises(CnnlabError) as refused:
        reproduce(["tiny"])
    end = "delete the folder, or choose another --save_dir"
    assert str(refused.value) == f"{folder} holds a run with {difference}; {end}"
    assert progress_of("tiny", ReproduceOptions())["steps_made"] == 0


def test_a_shorter_run_at_a_constant_rate_is_trained_on() -> None:
    path = recipes.recipe_paths()["tiny"]
    path.write_text(RECIPE.replace("cosine", "constant"))
    put_run(30, MADE, steps=30)
    assert progress_of("tiny", ReproduceOptions())["steps_made"] == 30
