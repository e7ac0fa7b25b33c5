"""`cnnlab data arrange`: folders of splits and classes, complete or absent."""

import json
import os
from pathlib import Path

import pytest

from cnnlab.base.errors import CnnlabError, DataError, UsageError
from cnnlab.data.__main__ import main
from cnnlab.data.folders import arranging
from cnnlab.data.folders.arranging import arrange
from cnnlab.data.folders.class_folders import list_folder

PATTERN = r"(?P<label>[a-z]+)\.(?P<number>\d+)\.jpg"
RANGES = {"train": (0, 5), "test": (5, 8)}


def pets() -> None:
    """Write ten files of each class, and others."""
    for label in ("cat", "dog"):
        for i in range(10):
            path = Path("all", f"{label}.{i}.jpg")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"\xff\xd8\xff" + f"{label} {i}".encode())
    Path("all/readme.txt").write_text("x")
    Path("all/.hidden.1.jpg").write_text("x")


def names(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.jpg"))


EXPECTED = sorted(
    f"{split}/{label}/{label}.{i}.jpg"
    for split, (first, end) in RANGES.items()
    for label in ("cat", "dog")
    for i in range(first, end)
)


@pytest.mark.parametrize("how", ["copy", "link"])
def test_the_command(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    pets()
    words = ["arrange", "all", "new/pets", f"--pattern={PATTERN}", "--train=0:5", "--test=5:8"]
    for _ in range(2):  # the second time, it is there already
        with pytest.raises(SystemExit) as end:
            main([*words, f"--how={how}", "--json"])
        assert end.value.code == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["files"] == {"train": {"cat": 5, "dog": 5}, "test": {"cat": 3, "dog": 3}}
        assert answer["left_out"] == 5
    assert names("new/pets") == EXPECTED
    assert os.listdir("new") == ["pets"]
    file = Path("new/pets/test/dog/dog.6.jpg")
    assert file.read_bytes().endswith(b"dog 6")
    assert file.is_symlink() == (how == "link")
    assert {one.split for one in list_folder("new/pets").found} == {"train", "test"}


def test_a_kill_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    pets()
    put, calls = arranging._put, [0]

    def dying(*words: object) -> None:
        calls[0] += 1
        if calls[0] > 7:
            raise KeyboardInterrupt
        put(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(arranging, "_put", dying)
    with pytest.raises(KeyboardInterrupt):
        arrange("all", "pets", PATTERN, {"train": (0, 9), "test": (9, 10)})
    assert not Path("pets").exists()
    done = list(Path(".pets.cnnlab-arrange").rglob("*.jpg"))
    assert len(done) == 7
    times = {path.name: path.stat().st_mtime_ns for path in done}
    monkeypatch.setattr(arranging, "_put", put)
    arrange("all", "pets", PATTERN, {"train": (0, 5), "test": (5, 8)})
    assert names("pets") == EXPECTED
    kept = [path for path in Path("pets/train").rglob("*.jpg") if path.name in times]
    assert kept
    assert all(times[path.name] == path.stat().st_mtime_ns for path in kept)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    pets()

    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arranging, "_put", full)
    with pytest.raises(CnnlabError, match="No space left on device; free some space"):
        arrange("all", "pets", PATTERN, RANGES)
    assert not Path("pets").exists()


def test_a_folder_of_other_files_is_kept() -> None:
    pets()
    Path("pets").mkdir()
    Path("pets/mine.txt").write_text("x")
    with pytest.raises(DataError, match=r"pets is there, and its mine\.txt is not what"):
        arrange("all", "pets", PATTERN, RANGES)
    assert os.listdir("pets") == ["mine.txt"]


def test_labels_stay_inside_the_folder() -> None:
    pets()
    for name in ("...1.jpg", "...6.jpg"):
        Path("all", name).write_text("x")
    arrange("all", "pets", r"(?P<label>.+)\.(?P<number>\d+)\.jpg", RANGES)
    assert names("pets") == EXPECTED


@pytest.mark.parametrize(
    ("pattern", "ranges", "message"),
    [
        ("(", RANGES, "not a regular expression"),
        (r"(?P<label>[a-z]+)\.\d+\.jpg", RANGES, "has no group number"),
        (r"(?P<label>[a-z]+)\.(?P<number>.+)", RANGES, r"finds the number 0\.jpg in all/cat"),
        (PATTERN, {}, "give the numbers of each split"),
        (PATTERN, {"train": (0, 5), "test": (4, 8)}, "--train and --test overlap at 4"),
    ],
)
def test_wrong_words(pattern: str, ranges: dict[str, tuple[int, int]], message: str) -> None:
    pets()
    with pytest.raises(UsageError, match=message):
        arrange("all", "pets", pattern, ranges)


def test_splits_that_would_lack_a_class() -> None:
    pets()
    Path("all/fox.1.jpg").write_text("x")
    with pytest.raises(DataError, match="test would have nothing of the class fox"):
        arrange("all", "pets", PATTERN, RANGES)
    with pytest.raises(DataError, match="no file in all has a name as"):
        arrange("all", "pets", PATTERN, {"train": (100, 200)})
    with pytest.raises(UsageError, match="gone is no folder"):
        arrange("gone", "pets", PATTERN, RANGES)
    for text in ("5", "5:5", "a:b", "7:3"):
        with pytest.raises(UsageError, match=f"--train={text} is not valid"):
            arranging.parse_range("train", text)
