"""The image files that file names, folders, patterns and lists stand for."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.data.image_files.image_paths import find_images
from cnnlab.data.image_files.images import FORMATS

NAMES = ("b/2.png", "b/10.JPG", "b/x/1.tiff", "a.gif", ".hidden.png", ".h/1.png", "b/notes.txt")


@pytest.fixture(autouse=True)
def tree() -> None:
    for name in (*NAMES, "c[1].png", "empty/.keep"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()


def found(*words: str, listed: bytes = b"") -> list[str]:
    return list(find_images(words, io.BytesIO(listed)))


def test_named_files_are_returned_unchecked() -> None:
    assert found("b/notes.txt", "gone.png", "a.gif", "a.gif") == [
        *("b/notes.txt", "gone.png", "a.gif", "a.gif")
    ]


def test_folders_are_searched_for_images_in_the_order_of_names() -> None:
    assert found("b") == ["b/10.JPG", "b/2.png", "b/x/1.tiff"]
    assert found("b/") == ["b/10.JPG", "b/2.png", "b/x/1.tiff"]
    assert found(".") == ["./a.gif", "./c[1].png", "./b/10.JPG", "./b/2.png", "./b/x/1.tiff"]
    assert found(".h") == [".h/1.png"]


def test_patterns() -> None:
    assert found("b/*.png", "?.gif") == ["b/2.png", "a.gif"]
    assert found("**/*.[pt]*") == ["b/2.png", "b/notes.txt", "b/x/1.tiff", "c[1].png"]
    assert found("b/*") == ["b/10.JPG", "b/2.png", "b/notes.txt"]  # x is a folder
    assert found("c[1].png") == ["c[1].png"]  # there is a file of that name


@pytest.mark.parametrize(
    "listed",
    [
        b"a.gif\nb\nb/*.png\n",
        b"a.gif\n\nb\nb/*.png",
        b"a.gif\0b\0b/*.png\0",
        b"a.gif\0b\0b/*.png",
    ],
)
def test_lists_name_files_and_folders_but_no_patterns(listed: bytes) -> None:
    expected = ["a.gif", "b/10.JPG", "b/2.png", "b/x/1.tiff", "b/*.png"]
    assert found("-", listed=listed) == expected
    assert found("a.gif", "-", listed=listed) == ["a.gif", *expected]


def test_names_with_invalid_text_or_newlines() -> None:
    assert found("-", listed=b"\xff.png\0two\nlines.png\0") == ["\udcff.png", "two\nlines.png"]
    assert os.fsencode(found("-", listed=b"\xff.png\n")[0]) == b"\xff.png"


def test_a_long_list_is_read_lazily() -> None:
    listed = io.BytesIO(b"".join(b"%07d.png\n" % number for number in range(20_000)))
    paths = find_images(["-"], listed)
    assert next(paths) == "0000000.png"
    assert listed.tell() < 100_000
    assert [*paths][-1] == "0019999.png"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a.gif", "empty"), "no image file in the folder empty; their names end in .png, .jpg"),
        (("a.gif", "*.bmp"), r"no file matches \*.bmp"),
        (("b/nothing/**",), r"no file matches b/nothing/\*\*"),
    ],
)
def test_nothing_found_raises_at_once(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_images(words)


@pytest.mark.parametrize("listed", [b"", b"\n\n", b"\0"])
def test_an_empty_list(listed: bytes) -> None:
    with pytest.raises(UsageError, match="no path on standard input"):
        found("-", listed=listed)


def test_a_folder_that_cannot_be_listed_is_returned_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if path == "b/x":
            raise PermissionError(13, "no", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert found("b") == ["b/10.JPG", "b/2.png", "b/x"]


def test_every_format_has_an_ending() -> None:
    from PIL import Image

    from cnnlab.data.image_files.image_paths import SUFFIXES

    Image.init()
    assert {Image.EXTENSION[suffix] for suffix in SUFFIXES} == set(FORMATS)
