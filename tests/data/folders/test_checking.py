"""`cnnlab data check` finds every planted fault, and no others."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab.base.errors import UsageError
from cnnlab.config.config import Config
from cnnlab.data.__main__ import main
from cnnlab.data.folders.similar import HASH_BITS, alike, difference_hash, joined
from tests.data.folders.pictures import write, write_folder


def run(*words: str) -> object:
    with pytest.raises(SystemExit) as end:
        main(["check", *words])
    return end.value.code


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, dict[str, Any]]:
    code = run(*words, "--json")
    return code, json.loads(capsys.readouterr().out)


def kinds(answer: dict[str, Any]) -> dict[str, list[list[str]]]:
    """Return the names of the files of each fault, by kind."""
    root = str(Path("p").resolve()) + "/"
    found: dict[str, list[list[str]]] = {}
    for fault in answer["faults"]:
        names = sorted(file.removeprefix(root) for file in fault["files"])
        found.setdefault(fault["kind"], []).append(names)
    return found


def plant() -> None:
    """Write a folder with one fault of each kind."""
    write_folder("p", {"train/a": 4, "train/b": 16, "test/a": 3, "test/b": 3})
    for i in range(16):
        write(f"p/train/b/{i}.jpg", size=(40 + i, 50))
    shutil.copy("p/train/a/0.jpg", "p/train/a/copy.jpg")
    shutil.copy("p/train/a/1.png", "p/test/a/leak.png")
    shutil.copy("p/train/b/2.jpg", "p/train/a/wrong.jpg")
    with Image.open("p/train/b/3.jpg") as image:
        image.resize((90, 70)).save("p/test/b/smaller.webp", quality=60)
    with Image.open("p/train/b/4.jpg") as image:
        image.save("p/train/b/again.jpg", quality=50)
    Image.new("RGB", (30, 30), (7, 8, 9)).save("p/train/b/plain.png")
    Image.new("RGB", (30, 30), (99, 8, 9)).save("p/test/b/plain.png")
    truncated = Path("p/train/b/5.jpg").read_bytes()[:-40]
    Path("p/train/b/5.jpg").write_bytes(truncated)
    Path("p/test/a/text.jpg").write_text("hello")
    frames = [Image.new("L", (9, 9), i % 256) for i in range(300)]
    frames[0].paste(200, (0, 0, 4, 4))
    frames[0].save("p/train/b/film.gif", save_all=True, append_images=frames[1:])
    Path("p/train/b/.hidden").mkdir()
    Path("p/train/Thumbs.db").write_text("x")
    Path("p/train/readme.md").write_text("x")


def test_every_planted_fault_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    plant()
    code, answer = checked(capsys, "p", "--html=out/page.html")
    assert code == 1
    assert kinds(answer) == {
        "unreadable": [["test/a/text.jpg"], ["train/b/5.jpg"]],
        "leakage": [
            ["test/a/leak.png", "train/a/1.png"],
            ["test/b/smaller.webp", "train/b/3.jpg"],
        ],
        "contradiction": [["train/a/wrong.jpg", "train/b/2.jpg"]],
        "duplicate": [["train/a/0.jpg", "train/a/copy.jpg"]],
        "near_duplicate": [["train/b/4.jpg", "train/b/again.jpg"]],
        "one_colour": [["test/b/plain.png"], ["train/b/plain.png"]],
        "frames": [["train/b/film.gif"]],
        "imbalance": [[]],
    }
    assert answer["pictures"] == 43
    assert answer["splits"]["test"] == {"a": 5, "b": 5}
    assert answer["splits"]["train"] == {"a": 6, "b": 27}
    assert len(answer["hidden"]) == 2
    assert len(answer["others"]) == 1
    assert answer["modes"].keys() >= {"RGB", "P"}
    assert answer["width"]["smallest"] == 9
    page = Path("out/page.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 13
    assert "<script" not in page


def test_a_folder_without_faults(capsys: pytest.CaptureFixture[str]) -> None:
    write_folder("p", {"a": 5, "b": 5})
    assert run("p") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "all"]
    assert lines[1].split() == ["a", "5"]
    assert lines[-1] == "no faults found"


def test_words_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    plant()
    assert run("p", "--html=page.html") == 1
    out, err = capsys.readouterr()
    assert "leakage: 2" in out
    assert "the same file in test and train; keep them in one split: " in out
    assert "with pictures: page.html" in out
    assert err == "error: 5 faults must be repaired before training\n"


def test_wrong_structure_is_a_fault_beside_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    write_folder("p", {"train/Cat": 2, "train/cat": 2, "val/dog": 1})
    Path("p/val/dog/0.jpg").write_text("x")
    code, answer = checked(capsys, "p")
    assert code == 1
    assert set(kinds(answer)) == {"structure", "unreadable"}
    assert "differ in case only" in answer["faults"][0]["text"]


def test_names_that_html_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    write_folder("p", {"a": 2, "<b>&": 2})
    Path("p/<b>&/x<script>.jpg").write_text("no picture")
    assert run("p", "--html=page.html") == 1
    page = Path("page.html").read_text()
    assert "<script>" not in page
    assert "x&lt;script&gt;.jpg" in page
    capsys.readouterr()


def test_a_list_and_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    write_folder("p", {"x": 4})
    Path("p/t.csv").write_text("x/0.jpg,a,train\nx/1.png,b,train\nx/2.jpg,a,test\nx/3.png,b,test\n")
    code, answer = checked(capsys, "p/t.csv")
    assert code == 0
    assert answer["splits"] == {"test": {"a": 1, "b": 1}, "train": {"a": 1, "b": 1}}
    for words in ([], ["p", "q"], ["gone"]):
        assert run(*words) == 2


@pytest.mark.slow
def test_suspicious_labels(capsys: pytest.CaptureFixture[str]) -> None:
    from cnnlab.train import Train

    for label, level in (("night", 20), ("day", 235)):
        for i in range(12):
            pixels = np.full((16, 16, 3), level, np.uint8)
            pixels[i % 16, (5 * i) % 16] = 128
            path = Path("p", label, f"{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    options: dict[str, Any] = {"model": "mnist_perceptron", "scaling": "symmetric"}
    with Train(dataset="folder:p", batch_size=8, device="cpu", quiet=True, **options) as train:
        train.train("run", steps=60, learning_rate=0.01)
    Path("p/day/3.png").rename("p/kept.png")
    shutil.copy("p/night/4.png", "p/day/3.png")
    Path("p/night/4.png").unlink()
    Path("p/kept.png").rename("p/night/4.png")
    _, answer = checked(capsys, "--save_dir=run", "--near=0")
    assert sorted(kinds(answer)["suspicious_label"]) == [["day/3.png"], ["night/4.png"]]


def test_the_model_of_a_run_is_given_or_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def record(_config: Config, model: str | None, **options: Any) -> None:
        asked.update(model=model, **options)
        raise UsageError("asked")

    monkeypatch.setattr("cnnlab.run.disk.config_file.load_config", lambda _folder: Config())
    monkeypatch.setattr("cnnlab.run.own_code.parts_of_run", record)
    assert run("p", "--save_dir=run", "--model=net.py:net", "--trust=True") == 2
    assert asked == {"model": "net.py:net", "trust": True}


def test_hashes() -> None:
    rng = np.random.default_rng(3)
    pictures = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((64, 64)), np.uint8
        )
        for _ in range(60)
    ]
    hashes = np.array([difference_hash(one) for one in pictures])
    assert hashes.shape == (60, HASH_BITS)
    assert alike(hashes, 6) == []
    darker = np.array([difference_hash((one * 0.9).astype(np.uint8)) for one in pictures])
    pairs = alike(np.concatenate([hashes, darker]), 6)
    assert pairs == [(i, i + 60) for i in range(60)]
    expected = [
        (i, j) for i in range(60) for j in range(i + 1, 60) if (hashes[i] != hashes[j]).sum() <= 50
    ]
    assert sorted(alike(hashes, 50)) == expected
    assert joined([(3, 5), (1, 2), (5, 9)]) == [[1, 2], [3, 5, 9]]
