"""Finds image files from file names, folders, patterns and a list on standard input."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from cnnlab.base.errors import UsageError

# Endings of the formats that `images` reads; only these files are found in folders.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp"),
    *(".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm"),
)
_LIST_BYTES = 1 << 16


def find_images(words: Sequence[str], listed: BinaryIO | None = None) -> Iterator[str]:
    """Return the paths of the image files that words name, one after the other.

    A word is one of these:

    - A file.
    - A folder: the images in it and its subfolders, found by their endings, in order of name.
    - A pattern as in a shell, where ** matches any number of folders.
    - "-": a list of files and folders on standard input, one per line, or separated by NULs as
      from `find -print0`.

    Hidden files and folders are found only by their own name.

    Args:
        words: the words.
        listed: the stream that "-" reads.

    Returns:
        an iterator that finds the paths lazily. It holds at most the names of one folder, or the
        matches of one pattern. It does not check that a named file exists.

    Raises:
        UsageError: a folder or pattern without an image (raised at once), or an empty list (raised
            by the iterator).
    """
    for word in words:
        if word != "-" and next(_expand(word), None) is None:
            raise UsageError(
                f"no image file in the folder {word}; their names end in {', '.join(SUFFIXES)}"
                if os.path.isdir(word)
                else f"no file matches {word}; check the pattern"
            )
    return _find(words, listed)


def images_in(folder: str) -> Iterator[str]:
    """Yield the images in a folder and its subfolders, and the folders that cannot be listed."""
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
    elif glob.has_magic(word) and not os.path.lexists(word):  # a[1].png may be the name of a file
        yield from sorted(path for path in glob.iglob(word, recursive=True) if _is_file(path))
    else:
        yield word


def _is_file(path: str) -> bool:
    # For x/** `glob` returns x/ even if there is no x. A broken link is left to the reader.
    return os.path.lexists(path) and not os.path.isdir(path)


def _expand_list(listed: BinaryIO) -> Iterator[str]:
    is_empty = True
    for path in _read_list(listed):
        is_empty = False
        # In a list, a star is part of a name and not a pattern.
        yield from images_in(path) if os.path.isdir(path) else (path,)
    if is_empty:
        raise UsageError("no path on standard input; with - the command reads one path per line")


def _read_list(listed: BinaryIO) -> Iterator[str]:
    """Yield the entries of a list, reading it piece by piece; skip empty entries."""
    rest = b""
    separator = b""
    while piece := listed.read(_LIST_BYTES):
        rest += piece
        # In a list with NULs a newline is part of a name.
        separator = separator or (b"\0" if b"\0" in rest else b"\n")
        *entries, rest = rest.split(separator)
        yield from map(os.fsdecode, filter(None, entries))
    yield from map(os.fsdecode, filter(None, [rest]))
