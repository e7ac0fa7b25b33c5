"""Runs with balanced sampling: their draws, and the same bits however they are cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import UsageError
from cnnlab.config.yaml_text import read_yaml_mapping
from cnnlab.data.class_balance import read_balance
from tests import small_run

COUNTS = (2, 13, 5)


def make(save_dir: Path, **options: Any) -> Any:
    """Return a small run of 2, 13 and 5 images of three classes."""
    train, test = small_run.arrays()
    data = ((train[0], np.repeat([1, 2, 0], [13, 5, 2])), (test[0], test[1] % 3))
    return small_run.make(save_dir, data=data, **options)


@pytest.mark.parametrize(
    "sampling",
    ["balanced", *(pytest.param(n, marks=pytest.mark.slow) for n in ("oversample", "undersample"))],
)
@pytest.mark.slow
def test_cuts_change_nothing(sampling: str, tmp_path: Path) -> None:
    """Thirteen steps of 6 images are cut in an epoch; the epochs have 20, 39 and 6 draws."""
    options: dict[str, Any] = {"sampling": sampling, "augment": ["alternating_flip"]}
    with make(tmp_path / "straight", steps_per_run=1, **options) as train:
        train.train()
        straight = small_run.variables(train)
    with make(tmp_path / "cut", checkpoint_steps=2, **options) as train:
        train.train(steps=4)
    with make(tmp_path / "cut", steps_per_run=7, **options) as train:
        train.train(steps=9)
    with make(tmp_path / "cut", **options) as train:
        train.train()
        small_run.assert_same_bits(small_run.variables(train), straight)


@pytest.mark.slow
def test_the_run_says_and_keeps_what_it_draws(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {"sampling": "oversample", "class_weights": {"0": 2}, "epochs": 2, "steps": None}
    with make(tmp_path / "save", **options) as train:
        result = train.train()
    assert result["step"] == 13  # 2 x 39 draws in batches of 6
    drawn = "oversample: an epoch draws 39 images: 0 13 from 2, 1 13 from 13, 2 13 from 5"
    assert drawn in capfd.readouterr().err
    recorded = read_yaml_mapping(tmp_path / "save/config.yaml")
    assert recorded["sampling"] == "oversample"
    rows = [("0", 2, 13.0, 2.0), ("1", 13, 13.0, 1.0), ("2", 5, 13.0, 1.0)]
    assert read_balance(recorded["balance"]) == (39, rows)
    with pytest.raises(UsageError, match="holds another run: sampling \\(oversample there, shuf"):
        make(tmp_path / "save", **{**options, "sampling": "shuffle"}).train()


def test_class_weights_are_kept_too(tmp_path: Path) -> None:
    with make(tmp_path / "save", class_weights="balanced", steps=1) as train:
        train.train()
    recorded = read_yaml_mapping(tmp_path / "save/config.yaml")["balance"]
    weights = [row[3] for row in read_balance(recorded)[1]]
    np.testing.assert_allclose(weights, [20 / (3 * n) for n in COUNTS], rtol=1e-6)


@pytest.mark.slow
def test_plain_runs_keep_nothing_of_it(tmp_path: Path) -> None:
    with make(tmp_path / "save", steps=1) as train:
        train.train()
    assert "balance" not in read_yaml_mapping(tmp_path / "save/config.yaml")


@pytest.mark.slow
def test_the_report_shows_it(tmp_path: Path) -> None:
    from cnnlab.report import report
    from tests.report.parsed_page import Page

    with make(tmp_path / "save", sampling="undersample", class_weights=[1, 2, 3]) as train:
        train.train()
    test = small_run.arrays()[1]
    answer = report(tmp_path / "save", data=(test[0], test[1] % 3), model=small_run.network)
    page = Page(Path(answer["report"]))
    assert page.table("Training with --sampling=undersample.") == [
        ["class", "training images", "drawn an epoch", "weight"],
        ["0", "2", "2.0000", "1.0000"],
        ["1", "13", "2.0000", "2.0000"],
        ["2", "5", "2.0000", "3.0000"],
    ]
