"""Writing files that are complete or absent, whenever the process is killed."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cnnlab.base.errors import CnnlabError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace the file by one with this content; a reader sees the old or the new, never a part.

    Raises:
        CnnlabError: the disk is full or the folder cannot be written; the old content stands.
    """
    with replacing(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """As `write_atomically`, for content that is written in the block piece by piece.

    Raises:
        CnnlabError: the disk is full or the folder cannot be written; the old content stands, as it
            does if the block fails for a reason of its own.
    """
    partial = path.with_name(path.name + ".partial")
    with translate_os_errors(path):
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            remove_if_possible(partial)
            raise
        sync(path.parent)


def replace_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Make a folder, or replace it; it is there with all that is written, or not at all.

    Args:
        path: the folder.
        write: writes the new one at the path that it is given.

    Raises:
        CnnlabError: the disk is full or the folder cannot be written; an old one stands until the
            new one is complete.
    """
    partial = path.with_name(path.name + ".partial")
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            write(partial)
            for written in sorted(partial.rglob("*")):
                sync(written)
            if path.exists():
                shutil.rmtree(path)
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """Wait until the file's contents, or the folder's list of names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translate_os_errors(path: Path, hint: str = "") -> Iterator[None]:
    """Turn the operating system's refusal to write into an error that names what was written.

    Raises:
        CnnlabError: "cannot write PATH: No space left on device", and the hint.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error.strerror or str(error), hint) from error


def cannot_write(path: Path, reason: str, hint: str = "") -> CnnlabError:
    """The error for something that could not be written."""
    return CnnlabError(f"cannot write {path}: {reason}" + (f"; {hint}" if hint else ""))


def remove_if_possible(path: Path) -> None:
    """Delete a file that is of no use, where that is still allowed."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def read_text(path: Path, max_bytes: int) -> str:
    """The text of a small file.

    Args:
        path: a regular file; not a pipe or device, which might never end.
        max_bytes: a larger file is refused before it is read.

    Raises:
        CnnlabError: it is too large, no regular file or not UTF-8.
        OSError: it cannot be read.
    """
    # Opening a pipe would wait for a writer; so look first, and look again at what was opened.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CnnlabError(f"{path} is not a regular file")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise CnnlabError(f"{path} has more than {max_bytes:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CnnlabError(f"{path} is not UTF-8 text: {error}") from error
