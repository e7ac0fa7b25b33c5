"""Which image files are meant: by files, folders, patterns and a list on standard input."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from cnnlab.base.errors import UsageError

# The endings under which files of the formats that `images` reads are found in folders.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp"),
    *(".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm"),
)
_LIST_BYTES = 1 << 16


def find_images(words: Sequence[str], listed: BinaryIO | None = None) -> Iterator[str]:
    """The paths of the image files that words name, one after the other.

    A word is a file; a folder, which stands for the images in it and in its subfolders, by their
    endings, in the order of their names; a pattern as a shell has it, in which ** stands for any
    number of folders; or - for a list of files and folders on standard input, one a line, or ended
    by NULs as by `find -print0`. Hidden files and folders are found by their own name only.

    Args:
        words: such words.
        listed: what - stands for.

    Returns:
        the paths, found as they are asked for: no more than a folder's names are held at a time,
        or those that a pattern matches. A file that is not there is for the reader to find.

    Raises:
        UsageError: a folder or a pattern without an image, said before anything is returned; or an
            empty list.
    """
    for word in words:
        if word != "-" and next(_expand(word), None) is None:
            raise UsageError(
                f"no image file in the folder {word}"
                if os.path.isdir(word)
                else f"no file matches {word}"
            )
    return _find(words, listed)


def images_in(folder: str) -> Iterator[str]:
    """The images in a folder and its subfolders; those that cannot be listed come as themselves."""
    unreadable: list[str] = []
    for path, folders, names in os.walk(folder, onerror=lambda e: unreadable.append(e.filename)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield os.path.join(path, name)
    yield from unreadable


def _find(words: Sequence[str], listed: BinaryIO | None) -> Iterator[str]:
    for word in words:
        if word == "-" and listed is not None:
            yield from _expand_list(listed)
        else:
            yield from _expand(word)


def _expand(word: str) -> Iterator[str]:
    if os.path.isdir(word):
        yield from images_in(word)
    elif glob.has_magic(word) and not os.path.lexists(word):  # a[1].png may be a file's name
        yield from sorted(path for path in glob.iglob(word, recursive=True) if _is_file(path))
    else:
        yield word


def _is_file(path: str) -> bool:
    # `glob` finds x/ by x/** even where there is no x. A broken link is for the reader to find.
    return os.path.lexists(path) and not os.path.isdir(path)


def _expand_list(listed: BinaryIO) -> Iterator[str]:
    is_empty = True
    for path in _read_list(listed):
        is_empty = False
        # A pattern's letters are part of a name here.
        yield from images_in(path) if os.path.isdir(path) else (path,)
    if is_empty:
        raise UsageError("no path on standard input, where - has them read from")


def _read_list(listed: BinaryIO) -> Iterator[str]:
    """The entries of a list that is read piece by piece; empty ones are left out."""
    rest = b""
    separator = b""
    while piece := listed.read(_LIST_BYTES):
        rest += piece
        # In a list with NULs a newline is part of a name.
        separator = separator or (b"\0" if b"\0" in rest else b"\n")
        *entries, rest = rest.split(separator)
        yield from map(os.fsdecode, filter(None, entries))
    yield from map(os.fsdecode, filter(None, [rest]))
