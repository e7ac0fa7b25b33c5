"""A file that is written in pieces is complete or absent."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import replace_folder, replacing, write_atomically, write_output


def test_the_new_file_appears_when_the_block_ends() -> None:
    path = Path("a.txt")
    path.write_text("old")
    with replacing(path) as file:
        file.write(b"new ")
        file.write(b"text")
        assert path.read_text() == "old"
    assert path.read_text() == "new text"
    assert [found.name for found in Path().iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_old_file_is_kept_if_the_block_fails(error: type[BaseException]) -> None:
    path = Path("a.txt")
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert [found.name for found in Path().iterdir()] == ["a.txt"]


def test_a_folder_that_is_missing() -> None:
    with (
        pytest.raises(CnnlabError, match=r"cannot write none/a\.txt: No such file"),
        replacing(Path("none/a.txt")),
    ):
        pytest.fail("the block ran")


def test_a_full_disk_names_the_file() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(CnnlabError, match="cannot write /dev/full: No space left"):
        write_output(full, "x")


def test_a_planted_link_is_not_followed() -> None:
    Path("victim").write_text("kept")
    Path("a").symlink_to("victim")
    Path(".a.cnnlab-partial").symlink_to("victim")
    write_atomically(Path("a"), "new")
    assert Path("victim").read_text() == "kept"
    assert Path("a").read_text() == "new"
    assert not Path("a").is_symlink()


def test_an_output_follows_the_users_link() -> None:
    Path("folder").mkdir()
    Path("a").symlink_to("folder/target")
    for text in ("new", "newer"):
        write_output(Path("a"), text)
        assert Path("folder/target").read_text() == text
        assert Path("a").is_symlink()


def test_a_device_and_a_pipe_stay() -> None:
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    for path in (Path("pipe"), Path("/dev/null")):
        write_output(path, "text")
        assert not path.is_file()
    assert os.read(reader, 10) == b"text"
    os.close(reader)


def test_the_users_own_partial_file_stays() -> None:
    Path("a.partial").write_text("mine")
    write_output(Path("a"), "new")
    replace_folder(Path("b"), Path.mkdir)
    assert Path("a.partial").read_text() == "mine"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_replaced_file_keeps_its_mode(mode: int) -> None:
    Path("a").write_text("old")
    Path("a").chmod(mode)
    write_atomically(Path("a"), "new")
    assert Path("a").stat().st_mode & 0o777 == mode


def folder_with(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "file").write_text(text)

    return write


def test_a_folder_is_old_or_new(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_folder(Path("a"), folder_with("old"))
    real = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == ".a.cnnlab-partial":
            raise KeyboardInterrupt
        return real(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fail)
        with pytest.raises(KeyboardInterrupt):
            replace_folder(Path("a"), folder_with("new"))
    assert Path("a/file").read_text() == "old"
    replace_folder(Path("a"), folder_with("new"))
    assert Path("a/file").read_text() == "new"
    assert [found.name for found in Path().iterdir()] == ["a"]


def test_a_folder_survives_a_kill_between_the_renames() -> None:
    folder_with("old")(Path(".a.cnnlab-old"))

    def fail(_folder: Path) -> None:
        raise CnnlabError("no")

    with pytest.raises(CnnlabError):
        replace_folder(Path("a"), fail)
    assert Path("a/file").read_text() == "old"
