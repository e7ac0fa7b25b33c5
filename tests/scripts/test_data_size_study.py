"""scripts/data_size_study.py: its parts of the training set, its runs and its page."""

import json
from pathlib import Path

import numpy as np
import pytest

from cnnlab.data.datasets import Dataset, Split
from cnnlab.data.specs import DATASETS
from scripts import data_size_study as study


def data_of(num_train: int) -> Dataset:
    """Return random images with the classes of CIFAR-10, in random order."""
    rng = np.random.default_rng(1)
    train, test = (
        Split(
            rng.integers(0, 256, (n, 32, 32, 3), np.uint8),
            rng.permutation(np.arange(n, dtype=np.int32) % 10),
        )
        for n in (num_train, 20)
    )
    return Dataset(DATASETS["cifar10"], train, test)


def test_parts_are_nested_and_have_all_classes_equally_often() -> None:
    train = data_of(600).train
    small, large = (study.part_of(train, size, 10) for size in (100, 400))
    assert np.bincount(small.labels).tolist() == [10] * 10
    assert np.bincount(large.labels).tolist() == [40] * 10
    np.testing.assert_array_equal(large.images[:100], small.images)
    assert len({image.tobytes() for image in large.images}) == 400
    label_of = {i.tobytes(): n for i, n in zip(train.images, train.labels, strict=True)}
    assert [label_of[image.tobytes()] for image in large.images] == large.labels.tolist()
    assert len(study.part_of(train, 600, 10).labels) == 600


def results_of(accuracies: dict[str, list[float]]) -> dict[str, object]:
    return {
        "sizes": [1000, 4000],
        "steps": 7,
        "options": study.OPTIONS,
        "widths": study.WIDTHS,
        "test_images": 10_000,
        "runs": {
            name: {
                str(size): {"accuracy": one, "train_accuracy": 1.0, "parameters": 5}
                for size, one in zip((1000, 4000), of_size, strict=True)
            }
            for name, of_size in accuracies.items()
        },
        "machine": {"cpu": "c", "cpu_features": [], "cores": 2, "ram_gb": 1, "system": "s"},
        "versions": {"python": "3"},
        "commit": "abc",
    }


def test_the_page_and_its_plot(tmp_path: Path) -> None:
    accuracies = {"small": [0.4, 0.5], "medium": [0.35, 0.55], "large": [0.3, 0.6]}
    results = results_of(accuracies)
    text = study.page(results)
    assert "| 1,000 | **40.0%** (100.0%) | 35.0% (100.0%) | 30.0% (100.0%) |" in text
    assert "| 4,000 | 50.0% (100.0%) | 55.0% (100.0%) | **60.0%** (100.0%) |" in text
    study.draw(results, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_runs(tmp_path: Path) -> None:
    data = data_of(200)
    results = study.study(data, tmp_path, (80, 160), 3)
    assert [list(of_size) for of_size in results["runs"].values()] == [["80", "160"]] * 3
    parameters = [of_size["80"]["parameters"] for of_size in results["runs"].values()]
    convolutions = 3 * 9 * 4 + 4 + 4 * 9 * 8 + 8 + 8 * 9 * 16 + 16
    assert parameters[0] == convolutions + (256 + 1) * 32 + 33 * 10
    assert parameters == sorted(parameters)
    found = tmp_path / "small-80/found.json"
    found.write_text(json.dumps({**json.loads(found.read_text()), "accuracy": 0.123}))
    again = study.study(data, tmp_path, (80, 160), 3)
    assert again["runs"]["small"]["80"]["accuracy"] == 0.123  # no run is repeated


def test_the_results_name_what_the_runs_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(name: str, _train: Split, _test: Split, folder: Path, _steps: int) -> dict[str, int]:
        folder.mkdir()
        (folder / "config.yaml").write_text(f"commit: {name}\n")
        return {}

    monkeypatch.setattr(study, "learn", learn)
    assert study.study(data_of(100), tmp_path, (80,), 3)["commit"] == "small, medium, large"
