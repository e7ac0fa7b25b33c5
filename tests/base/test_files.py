"""A file that is written in pieces is complete or absent."""

from pathlib import Path

import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import replacing, write_atomically


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
    Path("a.partial").symlink_to(full)
    with pytest.raises(CnnlabError, match="cannot write a: No space left"):
        write_atomically(Path("a"), "x")
