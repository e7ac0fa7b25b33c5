"""Write files so that each is complete or absent, whenever the process is killed."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cnnlab.base.errors import CnnlabError
from cnnlab.base.file_system import fsync

_PARTIAL = ".cnnlab-partial"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file's content. A reader sees the old or the new content, never a part of it.

    Args:
        path: the file; its folder must exist.
        content: the new content. A text is written as UTF-8.

    Raises:
        CnnlabError: the disk is full or the folder cannot be written. The old file is kept.
    """
    with replacing(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, hint: str = "") -> Iterator[BinaryIO]:
    """Replace a file's content like `write_atomically`, but let the block write it in pieces.

    If the block raises, the old file is kept.

    Args:
        path: the file; its folder must exist.
        hint: what the user can do if it cannot be written.

    Yields:
        the binary file to write to.

    Raises:
        CnnlabError: the disk is full or the folder cannot be written. The old file is kept.
    """
    partial = _partial(path)
    with translate_os_errors(path, hint):
        remove_if_possible(partial)  # of a killed process
        try:
            with new_file(partial, _mode_of(path)) as file:
                yield file
                file.flush()
                fsync(file.fileno(), path)
            partial.replace(path)
        except BaseException:
            remove_if_possible(partial)
            raise
        sync(path.parent)


@contextmanager
def output_to(path: Path) -> Iterator[BinaryIO]:
    """Write an output that the user named: like `replacing`, but follow links.

    A device or a pipe, such as /dev/null, is written to and stays what it is.

    Args:
        path: the file; its folder must exist.

    Yields:
        the binary file to write to.

    Raises:
        CnnlabError: the disk is full or the file cannot be written.
    """
    path = Path(os.path.realpath(path))
    if not path.exists() or path.is_file() or path.is_dir():
        with replacing(path) as file:
            yield file
        return
    with translate_os_errors(path), path.open("wb") as file:
        yield file


def write_output(path: Path, content: str | bytes) -> None:
    """Write a whole output that the user named; see `output_to`."""
    with output_to(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def _partial(path: Path) -> Path:
    """Return the name for a file or folder that is not complete, which a user would not choose."""
    return path.with_name(f".{path.name}{_PARTIAL}")


def is_partial(path: Path) -> bool:
    """Return whether the path is a file that a killed process did not complete."""
    return path.name.startswith(".") and path.name.endswith(_PARTIAL)


def _mode_of(path: Path) -> int | None:
    """Return the permissions of the file that is to be replaced; None: there is none."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None


def new_file(path: Path, mode: int | None = None) -> BinaryIO:
    """Create a file and open it for writing.

    Args:
        path: the file; its folder must exist.
        mode: its permissions; default: as the umask says.

    Raises:
        OSError: there is a file of this name, or a link that someone put there.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    file = os.fdopen(os.open(path, flags, 0o666 if mode is None else 0o600), "wb")
    if mode is not None:
        os.chmod(path, mode)
    return file


def replace_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Create or replace a folder, so that it is never there with only a part of its files.

    An old folder is kept until the new one is complete. A link is followed, as in `output_to`.

    Args:
        path: the folder; its parents are created.
        write: creates the new folder at the path that is passed to it.

    Raises:
        CnnlabError: the disk is full or the folder cannot be written.
    """
    path = Path(os.path.realpath(path))
    partial, old = _partial(path), path.with_name(f".{path.name}.cnnlab-old")
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if old.exists() and not path.exists():
            old.rename(path)  # a process was killed between the two renames below
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        try:
            write(partial)
            for written in sorted(partial.rglob("*")):
                sync(written)
            if path.exists():
                path.rename(old)  # quick, where deleting it file by file is not
            partial.rename(path)
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        sync(path.parent)


def free_name(path: str) -> str:
    """Return a name that nothing has yet, made of the path and a number: save-2."""
    path = path.rstrip("/") or path
    number = 2
    while os.path.lexists(f"{path}-{number}"):
        number += 1
    return f"{path}-{number}"


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fsync(descriptor, path)
    finally:
        os.close(descriptor)


@contextmanager
def translate_os_errors(path: Path, hint: str = "") -> Iterator[None]:
    """Translate an OSError of the block into a CnnlabError that names the path.

    Args:
        path: the file or folder that the block writes.
        hint: what the user can do; follows the reason.

    Raises:
        CnnlabError: "cannot write PATH: No space left on device", and the hint.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error.strerror or str(error), hint) from error


def cannot_write(path: Path, reason: str, hint: str = "") -> CnnlabError:
    """Return the error that says why a path could not be written."""
    return CnnlabError(f"cannot write {path}: {reason}" + (f"; {hint}" if hint else ""))


def remove_if_possible(path: Path) -> None:
    """Delete a file if it exists. Do nothing if it cannot be deleted."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def read_text(path: Path, max_bytes: int) -> str:
    """Return the text of a small file.

    Args:
        path: a regular file. Pipes and devices are refused, because they might never end.
        max_bytes: the largest size accepted; no more than one byte beyond it is read.

    Raises:
        CnnlabError: the file is too large, not a regular file or not UTF-8.
        OSError: the file cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise CnnlabError(f"{path} has more than {max_bytes:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CnnlabError(f"{path} is not UTF-8 text: {error}") from error


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        CnnlabError: it is a pipe or a device, which might never end.
        OSError: it cannot be read.
    """
    # O_NONBLOCK: otherwise opening a pipe would wait until another process writes to it.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise CnnlabError(f"{path} is not a regular file")
    return file
