"""The recipes of pictures, from Kaggle's folders to predictions, on drawn pictures."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnlab
from cnnlab.base.tf1 import tf
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


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str]:
    """Return Keras's VGG-16 with random weights and without its head, and the file it wrote."""
    from tf_keras.applications import VGG16

    network = VGG16(weights=None, include_top=False, input_shape=(150, 150, 3))
    path = str(tmp_path_factory.mktemp("keras") / "vgg16.h5")
    network.save_weights(path)
    return network, path


@pytest.fixture
def few_cats_and_dogs(tmp_path: Path) -> Path:
    """Return a folder with data/cats_dogs of 5 training and 2 test pictures of each class."""
    for split, count in (("train", 5), ("test", 2)):
        for label, level in (("cat", 80), ("dog", 170)):
            for i in range(count):
                draw(tmp_path / f"data/cats_dogs/{split}/{label}/{i}.jpg", (150, 150), level)
    return tmp_path


def variables(save_dir: Path) -> dict[str, Any]:
    """Return the variables of the newest checkpoint."""
    reader = tf.train.load_checkpoint(str(save_dir))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


TINY = ("--steps=2", "--batch_size=5", "--device=cpu", "--eval_steps=2", "--summary_steps=1")


@pytest.mark.slow
def test_age_and_gender(tmp_path: Path) -> None:
    """One network learns both, and evaluate has precision and recall of each class of both."""
    ages, lines = ("(0, 2)", "(25, 32)", "(60, 100)"), ["path,age,gender"]
    for i in range(30):
        draw(tmp_path / f"data/faces/{i}.jpg", (300 + i, 280), 60.0 + 60 * (i % 3))
        lines.append(f'{i}.jpg,"{ages[i % 3]}",{"fm"[i // 3 % 2]}')
    Path(tmp_path, "data/faces/faces.csv").write_text("\n".join(lines))
    result = run(
        tmp_path, "train", "--config=age_gender", "--save_dir=run", "--batch_size=5", *SHORT
    )
    assert (result["step"], sorted(result["heads"])) == (4, ["age", "gender"])
    heads = run(tmp_path, "evaluate", "--save_dir=run", "--split=train")["heads"]
    for head, classes in (("age", 3), ("gender", 2)):
        assert len(heads[head]["per_class"]) == classes
        assert {"precision", "recall"} <= heads[head]["per_class"][0].keys()
    answer = run(tmp_path, "predict", "data/faces/0.jpg", "--save_dir=run")[0]
    assert answer["heads"]["age"]["class"] in ages


@pytest.mark.slow
def test_bottleneck(few_cats_and_dogs: Path, vgg16: tuple[Any, str]) -> None:
    """The features are those that Keras computes, from its own form of the pixels."""
    from tf_keras.applications.vgg16 import preprocess_input

    network, file = vgg16
    words = ("--config=bottleneck", f"--init_from={file}", *TINY)
    result = run(few_cats_and_dogs, "bottleneck", *words, "--save_dir=joined")
    assert (result["step"], result["n"], result["bottleneck"]["features"]) == (2, 4, 8192)
    found = np.load(few_cats_and_dogs / result["bottleneck"]["files"]["test"])
    paths = sorted(few_cats_and_dogs.glob("data/cats_dogs/test/*/*.jpg"))
    pixels = np.stack([np.asarray(Image.open(path), np.float32) for path in paths])
    expected = network.predict(preprocess_input(pixels), verbose=0).reshape(4, 8192)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())

    frozen = run(few_cats_and_dogs, "train", *words, "--save_dir=frozen")  # the same, but slow
    assert frozen["loss"] == pytest.approx(result["loss"], rel=1e-3)
    found = variables(few_cats_and_dogs / "frozen")
    trained = sum(value.size for name, value in found.items() if name.endswith("/Adam_1"))
    assert trained == 8192 * 1024 + 1024 + 1024 * 2 + 2
    binary = run(few_cats_and_dogs, "bottleneck", *words, "--class_mode=binary", "--save_dir=one")
    assert binary["bottleneck"]["stored_before"] == ["train", "test"]
    assert variables(few_cats_and_dogs / "one")["logits/kernel"].shape == (1024, 1)


@pytest.mark.slow
def test_fine_tune(few_cats_and_dogs: Path, vgg16: tuple[Any, str]) -> None:
    """The last block and the head train, with the parameters that the text counts."""
    network, file = vgg16
    words = ("--config=fine_tune", f"--init_from={file}", *TINY, "--save_dir=tuned")
    earlier = "--parameter_groups={block5: {from: 1}}"  # the recipe's 250 steps are too many here
    result = run(few_cats_and_dogs, "train", *words, earlier, "--learning_rate=0.01")
    assert (result["step"], result["n"]) == (2, 4)
    found = variables(few_cats_and_dogs / "tuned")
    sizes = {n: v.size for n, v in found.items() if n.endswith("/Momentum")}
    assert sum(size for name, size in sizes.items() if "block5/" in name) == 7_079_424
    assert sum(size for name, size in sizes.items() if "block" not in name) == 2_097_922
    assert sum(sizes.values()) == 7_079_424 + 2_097_922
    for layer in network.layers:
        for variable, value in zip(("kernel", "bias"), layer.get_weights(), strict=False):
            name = f"{layer.name.replace('_', '/')}/{variable}"
            assert np.array_equal(found[name], value) == ("block5" not in name), name
    config = (few_cats_and_dogs / "tuned/config.yaml").read_text()
    assert "scaling: caffe" in config
    assert run(few_cats_and_dogs, "evaluate", "--save_dir=tuned")["loss"] == result["loss"]
