"""scripts/overfitting_study.py: which checkpoints it evaluates, and its page."""

from pathlib import Path
from typing import Any

import pytest

from cnnlab.run.disk.checkpoint import Checkpoints
from scripts import overfitting_study as study

LOSSES = {1000: (0.9, 1.0), 2000: (0.5, 0.8), 3000: (0.1, 1.5)}  # train, test


def fake_evaluate(save_dir: Path, *, checkpoint: str, split: str) -> dict[str, Any]:
    assert save_dir.name == "run"
    loss = LOSSES[int(checkpoint)][split == "test"]
    n = 50_000 if split == "train" else 10_000
    return {"accuracy": 1 - loss / 2, "loss": loss, "n": n, "per_class": []}


def make_run() -> None:
    Path("run").mkdir()
    Path("run/config.yaml").write_text("commit: abc\ncheckpoint_steps: 1000\n")


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(study, "evaluate", fake_evaluate)
    monkeypatch.setattr(Checkpoints, "steps", lambda self: sorted([*LOSSES, 2345]))
    make_run()
    return study.study(Path("run"))


def test_each_checkpoint_is_evaluated_on_both_splits(results: dict[str, Any]) -> None:
    assert [point["step"] for point in results["points"]] == [1000, 2000, 3000]
    losses = {p["step"]: (p["train"]["loss"], p["test"]["loss"]) for p in results["points"]}
    assert losses == LOSSES
    assert results["commit"] == "abc"  # of the training


def test_the_page_and_its_plot(results: dict[str, Any], tmp_path: Path) -> None:
    text = " ".join(study.page(results).split("\n"))
    assert "| 2,000 | 75.00% | 60.00% | 0.5000 | 0.8000 |" in text
    assert "makes 20,000 steps, as its text has it. Here are the first 3,000 of them. It" in text
    assert "evaluated every 1,000 steps" in text
    assert "all 50,000 training images and all 10,000 test" in text
    assert "lowest at step 2,000: 0.800, with 60.00% of" in text
    assert "training loss ends at 0.1000, with 95.00% of" in text
    study.draw(results, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_of_a_whole_run(results: dict[str, Any]) -> None:
    text = " ".join(study.page({**results, "steps": 3000}).split("\n"))
    assert "makes 3,000 steps, as its text has it. It has no augmentation" in text


def test_a_run_with_one_checkpoint_has_no_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    make_run()
    monkeypatch.setattr(Checkpoints, "steps", lambda self: [1000, 1234])
    with pytest.raises(SystemExit, match="run has 1 checkpoints; a curve needs two"):
        study.study(Path("run"))
