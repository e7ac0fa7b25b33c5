"""The recipes of pictures, from Kaggle's folders to predictions, on drawn pictures."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnlab
from tests.commands import finish, start

CATS_DOGS = r"--pattern=(?P<label>[a-z]+)\.(?P<number>\d+)\.jpg"


def draw(path: Path, size: tuple[int, int], level: float, mode: str = "RGB") -> None:
    """Write a JPEG file of a width and height; level: of grey, which tells the classes apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    low = np.clip(rng.normal(level, 30, (8, 8, 3)), 0, 255).astype(np.uint8)
    picture = Image.fromarray(low).resize(size, Image.Resampling.BICUBIC)
    picture.convert(mode).save(path, quality=90)


def chest_xrays(root: Path, counts: dict[str, int]) -> None:
    """Write pictures of the sizes, modes and names of chest-xray-pneumonia."""
    for split, count in counts.items():
        for i in range(count):
            normal = root / split / "NORMAL" / f"IM-{i:04d}-0001.jpeg"
            draw(normal, (1700 + 23 * i, 1300 + 17 * i), 90, "L")
            sick = root / split / "PNEUMONIA" / f"person{i}_bacteria_{i + 1}.jpeg"
            draw(sick, (1100 + 11 * i, 750 + 7 * i), 150, "RGB" if i % 10 == 9 else "L")
    (root / "train" / "NORMAL" / ".DS_Store").write_bytes(b"\0")  # as in Kaggle's folder


def run(folder: Path, command: str, *words: str) -> Any:
    """Run a command with --json, and return its answer."""
    done = finish(start("cnnlab", command, *words, "--json", cwd=folder), folder)
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)


SHORT = ("--steps=4", "--eval_steps=2", "--summary_steps=1", "--checkpoint_steps=2", "--device=cpu")


@pytest.mark.slow
def test_chest_xrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chest_xrays(tmp_path / "data" / "chest_xray", {"train": 10, "val": 8, "test": 8})
    shown = run(tmp_path, "data", "show", "--config=xray_cnn", "--images=8")
    assert shown["input_shape"] == [8, 1024, 1024, 3]
    assert 0 <= shown["input_min"] < shown["input_max"] <= 1

    words = ("--config=xray_cnn", "--eval_examples=12", "--save_dir=run")
    result = run(tmp_path, "train", *words, *SHORT)
    assert (result["step"], result["n"]) == (4, 16)  # the final test is on all test pictures
    text = Path(tmp_path, "run", "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    right = [12 * line["accuracy"] for line in lines if line["split"] == "val"]
    assert len(right) == 2
    assert right == pytest.approx(np.round(right))
    assert run(tmp_path, "evaluate", "--save_dir=run", "--split=validation")["n"] == 16

    answers = run(tmp_path, "predict", "data/chest_xray/val", "--save_dir=run")
    names = sorted(str(path) for path in Path(tmp_path, "data/chest_xray/val").rglob("*.jpeg"))
    assert [str(tmp_path / answer["file"]) for answer in answers] == names
    assert {one["class"] for answer in answers for one in answer["top"]} == {"NORMAL", "PNEUMONIA"}

    monkeypatch.chdir(tmp_path)
    for name, options in {
        "binary": {"class_mode": "binary"},
        "sparse": {"class_mode": "sparse"},
        "lenet5": {"model": "lenet5", "image_size": 32},  # the text's exercises
        "vgg16": {"model": "vgg16", "image_size": 64},
    }.items():
        given = {"config": "xray_cnn", "steps": 1, "device": "cpu", "quiet": True, **options}
        with cnnlab.Train(save_dir=name, **given) as train:
            assert train.train()["n"] == 16


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["cats_dogs", "cats_dogs_augmented"])
def test_cats_and_dogs(recipe: str, tmp_path: Path) -> None:
    for label, level in (("cat", 100), ("dog", 140)):
        for i in range(26):
            width, height = (499, 374 + i) if i % 3 else (300 + i, 500)
            draw(tmp_path / "train" / f"{label}.{i}.jpg", (width, height), level)
    words = ("train", "data/cats_dogs", CATS_DOGS, "--train=0:16", "--test=16:26")
    arranged = run(tmp_path, "data", "arrange", *words)
    assert arranged["files"]["test"] == {"cat": 10, "dog": 10}
    result = run(
        tmp_path, "train", f"--config={recipe}", "--batch_size=16", "--save_dir=run", *SHORT
    )
    assert (result["step"], result["n"]) == (4, 20)
    figures = run(tmp_path, "evaluate", "--save_dir=run")
    assert [row["name"] for row in figures["per_class"]] == ["cat", "dog"]
    assert figures["accuracy"] == result["accuracy"]
