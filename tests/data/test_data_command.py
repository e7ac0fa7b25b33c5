"""The command `cnnlab data list|fetch|verify`, run on small fakes of the official files."""

import json
from pathlib import Path

import pytest

from cnnlab.data.__main__ import main
from cnnlab.data.specs import OFFICIAL_FILES
from tests.data import fakes


def run(words: list[str]) -> object:
    with pytest.raises(SystemExit) as end:
        main(words)
    return end.value.code


@pytest.fixture
def cifar10(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a small fake of CIFAR-10 and return its folder."""
    files = fakes.fake_files("cifar10")
    monkeypatch.setitem(OFFICIAL_FILES, "cifar10", fakes.official_table("cifar10", files))
    folder = Path("here/cifar-10-batches-bin")
    fakes.write_files(folder, files)
    return folder


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--json"]) == 0
    rows = {row["dataset"]: row for row in json.loads(capsys.readouterr().out)}
    names = {"cifar10", "cifar100", "mnist", "fashion_mnist", "mnist_distorted", "shapes"}
    assert set(rows) == names
    assert rows["mnist"] == {
        "dataset": "mnist",
        "image_shape": "28x28x1",
        "classes": 10,
        "train": 60000,
        "test": 10000,
    }
    assert run(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["dataset", "image_shape", "classes", "train", "test"]
    assert lines[2] == "cifar100         32x32x3          100  50000  10000"


@pytest.mark.parametrize("words", [["cifar10"], ["--dataset=cifar10"]])
def test_verify(words: list[str], cifar10: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", *words, "--data_dir=here", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {Path(row["file"]).name for row in rows} >= {"data_batch_1.bin", "test_batch.bin"}
    assert {row["state"] for row in rows} == {"ok"}


def test_verify_of_drawn_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "shapes"]) == 1
    assert "shapes has no files to verify" in capsys.readouterr().err


def test_verify_names_the_damaged_file(cifar10: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = cifar10 / "data_batch_2.bin"
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.write_bytes(content)
    assert run(["verify", "cifar10", "--data_dir=here"]) == 1
    out, err = capsys.readouterr()
    assert "data_batch_1.bin  ok" in out
    assert err.startswith("error: here/cifar-10-batches-bin/data_batch_2.bin: expected SHA-256 ")
    assert err.count("data_batch_2.bin") == 1
    assert err.count("\n") == 1
    assert err.removeprefix("error: ") in out


def test_fetch_changes_no_existing_file(cifar10: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in cifar10.iterdir()}
    assert run(["fetch", "cifar10", "--data_dir=here", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {Path(row["file"]).name for row in rows} >= set(fakes.fake_files("cifar10"))
    assert {path: path.stat().st_mtime_ns for path in before} == before
