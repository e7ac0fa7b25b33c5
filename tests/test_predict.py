"""Predict files, folders, patterns and lists, in every output format."""

import csv
import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from cnnlab import Train
from cnnlab.base.errors import CnnlabError, DataError, UsageError
from cnnlab.data.shapes import draw_shapes
from cnnlab.evaluate import evaluate
from cnnlab.predict import __main__ as command
from cnnlab.predict import iter_predictions, predict
from cnnlab.predict.rendering import FORMATS
from tests import commands, small_run

NUM_FILES = 12


@pytest.fixture(scope="module")
def save_dir(trained: Any) -> str:
    assert trained.code == 0, trained.stderr
    return str(trained.folder / "save")


IMAGES, LABELS = draw_shapes(NUM_FILES, stream=1)


@pytest.fixture(autouse=True)
def pictures() -> list[str]:
    """Write images to a folder, some to a subfolder, and one bad file; return the good names."""
    Path("in/sub").mkdir(parents=True)
    names = [f"in/{'sub/' if number >= 8 else ''}{number:02}.png" for number in range(NUM_FILES)]
    for name, image in zip(names, IMAGES, strict=True):
        Image.fromarray(image).save(name)
    Path("in/05x.png").write_text("no image")
    return names


class Answer:
    """The exit code and the output of the command, run in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: str) -> None:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            command.main(list(words))
        self.code = end.value.code
        self.out, self.err = capsys.readouterr()


LAST = "error: 1 of 13 files could not be read; the first: in/05x.png is not an image that can be r"


def test_a_folder_in_every_format(
    save_dir: str, pictures: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = predict(pictures, save_dir)
    assert [row["file"] for row in expected] == pictures
    words = ("in", f"--save_dir={save_dir}", "--batch_size=5")
    answers = {name: Answer(capsys, *words, f"--format={name}") for name in FORMATS}
    for answer in answers.values():
        assert answer.code == 1
        skipped, last = answer.err.splitlines()
        assert skipped.startswith("skipped: in/05x.png is not an image that can be read; the forma")
        assert last.startswith(LAST)
    rows = json.loads(answers["json"].out)
    assert [row["file"] for row in rows] == pictures
    for row, right in zip(rows, expected, strict=True):
        assert set(row) == {"file", "class", "probability", "top"}
        assert [c["class"] for c in row["top"]] == [c["class"] for c in right["top"]]
        assert row["probability"] == pytest.approx(right["probability"], rel=1e-5)
    assert [json.loads(line) for line in answers["jsonl"].out.splitlines()] == rows
    table = list(csv.DictReader(io.StringIO(answers["csv"].out)))
    assert list(table[0]) == [
        *("file", "class", "probability", "class_2", "probability_2", "class_3", "probability_3")
    ]
    for row, right in zip(table, rows, strict=True):
        assert (row["file"], row["class"]) == (right["file"], right["class"])
        assert float(row["probability_3"]) == right["top"][2]["probability"]
    lines = answers["text"].out.splitlines()
    assert len(lines) == NUM_FILES
    first = rows[0]["top"]
    named = ", ".join(f"{c['class']} {c['probability']:.3f}" for c in first)
    assert lines[0] == f"in/00.png: {named}"


def test_patterns_lists_and_a_file_to_write(
    save_dir: str,
    pictures: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed = io.TextIOWrapper(io.BytesIO("\n".join(pictures[:3]).encode()))
    monkeypatch.setattr(sys, "stdin", listed)
    words = ("-", "in/**/1*.png", "in/04.png", f"--save_dir={save_dir}", "--json", "--out=o/p.json")
    answer = Answer(capsys, *words)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "6 predictions in o/p.json\n"
    files = [row["file"] for row in json.loads(Path("o/p.json").read_text())]
    assert files == [*pictures[:3], *pictures[10:], pictures[4]]
    assert os.listdir("o") == ["p.json"]


def test_the_same_as_evaluate(save_dir: str, pictures: list[str]) -> None:
    """evaluate on arrays and predict on files of two image modes give the same answers."""
    figures = evaluate(save_dir, data=(IMAGES, LABELS), predictions="p.csv", tta="mirror")
    assert figures["n"] == NUM_FILES
    with open("p.csv", newline="") as file:
        expected = [(row["predicted"], float(row["probability"])) for row in csv.DictReader(file)]
    for name in pictures:
        whole = Image.open(name)
        alpha = Image.new("L", whole.size, 255)
        Image.merge("RGBA", (*whole.split(), alpha)).save(name + ".webp", lossless=True)
    for files in (pictures, [name + ".webp" for name in pictures]):
        found = predict(files, save_dir, tta="mirror", batch_size=5)
        assert [row["class"] for row in found] == [name for name, _ in expected]
        np.testing.assert_allclose(
            [row["probability"] for row in found], [value for _, value in expected], rtol=1e-5
        )


def test_a_network_of_rgba_images_reads_files(tmp_path: Path) -> None:
    images = np.random.default_rng(6).integers(0, 256, (8, 8, 8, 4), np.uint8)
    pair = (images, np.arange(8) % 4)
    with small_run.make(tmp_path / "run", "mnist_perceptron", (pair, pair), steps=2) as train:
        train.train()
        expected = train.predict(images)
    for number, image in enumerate(images):
        Image.fromarray(image).save(f"{number:02}.png")
    names = [f"{number:02}.png" for number in range(len(expected))]
    found = [row["probability"] for row in predict(names, tmp_path / "run")]
    np.testing.assert_allclose(found, expected.max(axis=1), rtol=1e-5)


@pytest.mark.slow
def test_a_forged_image_shape_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """The files would be resized to this shape: each would take a tenth of a gigabyte, or more."""
    run = tmp_path / "run"
    options = {"model": "mnist_perceptron", "data": small_run.arrays()}
    with small_run.make(run, **options, steps=2, augment=[]) as train:
        train.train()
    folder = tmp_path / "images/0"
    folder.mkdir(parents=True)
    Image.fromarray(IMAGES[0]).save(folder / "a.png")
    config = (run / "config.yaml").read_text()
    assert yaml.safe_load(config)["data"]["image_shape"] == [8, 8, 3]
    for shape, problem in (
        ([6000, 7000, 3], "is of another model: logits/kernel is float32"),
        ([10**6, 10**6, 3], "edited by hand"),
        ([1, 2**40, 3], "edited by hand"),
        ([1, 10**30, 3], "edited by hand"),
    ):
        forged = yaml.safe_load(config)
        forged["data"]["image_shape"] = shape
        (run / "config.yaml").write_text(yaml.safe_dump(forged))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(CnnlabError, match=problem):
            predict([folder / "a.png"], run)
        with pytest.raises(CnnlabError, match=problem):
            evaluate(run, images=str(tmp_path / "images"))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert after - before < 100_000, shape  # kilobytes


def test_the_library_raises_or_reports_bad_files(save_dir: str, pictures: list[str]) -> None:
    with pytest.raises(DataError, match="no image file gone"):
        predict([*pictures, "gone"], save_dir)
    errors: list[DataError] = []
    answers = iter_predictions(["gone", Path(pictures[0])], save_dir, on_bad=errors.append, top=1)
    assert [row["file"] for row in answers] == [pictures[0]]
    assert [str(error) for error in errors] == ["no image file gone"]
    assert predict([], save_dir) == []
    with pytest.raises(UsageError, match="--batch_size=0 is not valid"):
        predict(pictures, save_dir, batch_size=0)


def test_answers_start_before_all_files_are_read(save_dir: str, pictures: list[str]) -> None:
    taken = 0

    def paths() -> Any:
        nonlocal taken
        for taken in range(1, 10_001):
            yield pictures[taken % NUM_FILES]

    answers = iter_predictions(paths(), save_dir, batch_size=10)
    next(answers)
    assert taken < 300
    answers.close()


def test_no_file_can_be_read(save_dir: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("in/05x.png", "gone", f"--save_dir={save_dir}")
    answer = Answer(capsys, *words, "--json")
    assert (answer.code, json.loads(answer.out)) == (1, [])
    assert answer.err.splitlines()[1] == "skipped: no image file gone"
    assert Answer(capsys, *words, "--format=csv").out == ""


@pytest.mark.slow
def test_pipes(save_dir: str, pictures: list[str]) -> None:
    """Lists from find, names that are not UTF-8, and a reader that stops early."""
    os.link(pictures[0], b"in/\xff.png")
    environment = {**os.environ, "PYTHONPATH": str(commands.ROOT), "P": sys.executable}
    run = f'"$P" -m cnnlab.predict - --save_dir="{save_dir}"'

    def shell(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, env=environment, check=False
        )

    done = shell(f"find in -name '*.png' -print0 | sort -z | {run} --format=jsonl --out=o.jsonl")
    assert done.returncode == 1
    rows = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert len(rows) == NUM_FILES + 1
    assert "in/\udcff.png" in [row["file"] for row in rows]
    endless = f"while true; do echo {pictures[0]}; done"
    done = shell(f"({endless}) | {run} | head -3; echo ${{PIPESTATUS[1]}}")
    assert done.stdout.splitlines()[-1] == "141"
    assert len(done.stdout.splitlines()) == 4
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A run on light squares on black, and the files light.png and dark.png."""
    images = np.zeros((40, 8, 8, 1), np.uint8)
    images[::2, 2:6, 2:6] = 250
    images[1::2, 3:5, 3:5] = 250
    pair = (images, np.arange(40) % 2)
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "dark.png")
    Image.fromarray(255 - images[0, ..., 0]).save(tmp_path / "light.png")
    with Train(data=(pair, pair), model="mnist_perceptron", batch_size=10, lr=0.01) as train:
        train.train(tmp_path / "run", steps=50)
    return tmp_path


@pytest.mark.slow
def test_an_opposite_background_gets_one_warning_with_the_remedy(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dark, light = str(digits / "dark.png"), str(digits / "light.png")
    save_dir = f"--save_dir={digits / 'run'}"
    warned = Answer(capsys, dark, light, light, save_dir)
    assert (warned.code, warned.err) == (
        0,
        f"warning: {light} has a light background, but the training images have a dark one; "
        "--invert=True swaps light and dark\n",
    )
    quiet = Answer(capsys, dark, light, light, save_dir, "--quiet")
    assert (quiet.out, quiet.err) == (warned.out, "")
    as_trained = Answer(capsys, dark, save_dir)
    assert as_trained.err == ""
    inverted = Answer(capsys, light, save_dir, "--invert")
    assert (inverted.out, inverted.err) == (as_trained.out.replace("dark.png", "light.png"), "")
    wrong = Answer(capsys, dark, save_dir, "--invert")
    assert "has a light background after --invert, but the training images have a" in wrong.err
    assert "leave out --invert" in wrong.err


def test_in_python_it_is_a_warning(digits: Path) -> None:
    with pytest.warns(UserWarning, match="light.png has a light background, but the training"):
        predict([digits / "light.png"], digits / "run")
    (answer,) = predict([digits / "light.png"], digits / "run", invert=True)
    (as_trained,) = predict([digits / "dark.png"], digits / "run")
    assert answer["top"] == as_trained["top"]


@pytest.mark.slow
def test_a_terminal_obeys_no_file_name(
    save_dir: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CSV keeps the name as it is, except on a terminal."""
    name = "in/\x1b[2J.png"
    Image.fromarray(IMAGES[0]).save(name)
    words = (name, f"--save_dir={save_dir}", "--format=csv")
    assert name in Answer(capsys, *words).out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    out = Answer(capsys, *words).out
    assert "in/\\x1b[2J.png" in out
    assert "\x1b" not in out
