"""scripts/transfer_study.py: its pictures, its statistics and its section of docs/results.md."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.datasets import Dataset, Split
from cnnlab.data.specs import DATASETS
from scripts import transfer_page as page
from scripts import transfer_study as study


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Return 1,500 training and 60 test images with the classes of CIFAR-10, in turn."""
    rng = np.random.default_rng(1)
    train, test = (
        Split(rng.integers(0, 256, (n, 32, 32, 3), np.uint8), np.arange(n, dtype=np.int32) % 10)
        for n in (1500, 60)
    )
    return Dataset(DATASETS["cifar10"], train, test)


def test_pretraining_sees_neither_cats_nor_dogs(data: Dataset) -> None:
    train, validation, test = study.pretraining_data(data)
    assert (len(train[1]), len(validation[1]), len(test[1])) == (1080, 120, 48)
    names = [name for name in data.spec.class_names if name not in ("cat", "dog")]
    seen = {image.tobytes() for image in [*train[0], *validation[0]]}
    assert len(seen) == 1200
    assert {*train[1]} == set(range(8))
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        assert (image.tobytes() in seen) == (data.spec.class_names[label] in names)
    for images, labels in (train, validation):
        for image, label in zip(images[:20], labels[:20], strict=True):
            (place,) = np.flatnonzero((data.train.images == image).all(axis=(1, 2, 3)))
            assert data.spec.class_names[data.train.labels[place]] == names[label]


def test_the_pictures_of_a_seed(data: Dataset, tmp_path: Path) -> None:
    for seed in (1, 2):
        study.write_pictures(data, seed, tmp_path / str(seed))
    for name, number in (("cat", 3), ("dog", 5)):
        chosen = [{p.stem for p in (tmp_path / f"{s}/train/{name}").iterdir()} for s in (1, 2)]
        assert [len(places) for places in chosen] == [100, 100]
        assert chosen[0] != chosen[1]
        assert {data.train.labels[int(place)] for places in chosen for place in places} == {number}
        tested = sorted((tmp_path / f"1/test/{name}").iterdir())
        assert [int(p.stem) for p in tested] == [*range(number, 60, 10)]
        with Image.open(tested[0]) as picture:
            assert picture.format == "JPEG"
            assert picture.size == (32, 32)
    kept = tmp_path / "1/train/cat"
    first = sorted(kept.iterdir())[0]
    first.write_bytes(b"x")
    study.write_pictures(data, 1, tmp_path / "1")
    assert first.read_bytes() == b"x"  # what is there is not written again
    assert len([*kept.iterdir()]) == 100


def test_the_interval_is_students() -> None:
    """By hand: the deviations of 1, 2, 3, 4, 5 have the sum of squares 10, so s = 1.5811."""
    mean, half = page.interval([1, 2, 3, 4, 5])
    assert mean == 3
    assert half == pytest.approx(2.776 * 1.5811 / 5**0.5, abs=1e-3)


def test_differences_are_taken_seed_by_seed() -> None:
    found = page.verdict({"a": [0.6, 0.7, 0.8], "b": [0.65, 0.75, 0.85]})
    assert found == (
        "The best is b. With the same pictures it exceeds, in percentage points, a by 5.0 ± 0.0."
    )


def test_the_section_has_every_method() -> None:
    of_method = {"options": {"augment": study.AUGMENT}, "seconds": [1.0, 3.0], "images": 2000}
    results: dict[str, Any] = {
        "shown": 100,
        "seeds": [1, 2],
        "pretraining": {
            "options": {"model": "resnet20"},
            "step": 9,
            "accuracy": 0.5,
            "n": 8000,
            "seconds": 1.0,
        },
        "of_pair": {"epochs": 25, "eval_examples": None},
        "methods": {
            "one": {**of_method, "accuracies": [0.5, 0.6]},
            "two": {**of_method, "accuracies": [0.7, 0.7]},
        },
        "machine": {"cpu": "c", "cpu_features": [], "cores": 2, "ram_gb": 1, "system": "s"},
        "versions": {"python": "3"},
        "commit": "abc",
    }
    text = "\n".join(page.transfer_section(results))
    assert "| one | 55.0% ± 63.5 | 50.0%, 60.0% | 2 |" in text
    assert "| two | 70.0% ± 0.0 | 70.0%, 70.0% | 2 |" in text
    assert "The best is two." in text
    assert "`--augment=[flip, {pad_and_crop: {pixels: 4}}]`" in text.replace("\n  ", " ")
    assert "`--eval_examples=none`" in text
    assert "- Commit: abc" in text


def test_the_results_name_what_the_runs_record(tmp_path: Path) -> None:
    result = {"finished": True, "step": 9, "accuracy": 0.5, "n": 10, "seconds": 1.0}
    folders = [study.run_folder(tmp_path, method, 1) for method in study.METHODS]
    for folder in (*folders, tmp_path / "pretrained"):
        folder.mkdir()
        (folder / "result.json").write_text(json.dumps(result))
    for name, folder in zip("ab", folders, strict=False):  # an SVM has no such file
        (folder / "config.yaml").write_text(f"commit: {name}\n")
    found = study.read_results(tmp_path, 1)
    assert found["commit"] == "a, b"
    assert found["methods"]["bottleneck"]["accuracies"] == [0.5]
