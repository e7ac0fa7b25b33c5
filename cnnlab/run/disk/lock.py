"""The lock of a run directory, which one process at a time can hold, and which dies with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnlab.base.errors import CnnlabError
from cnnlab.base.file_system import flock
from cnnlab.base.files import remove_if_possible, translate_os_errors

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path, option: str = "save_dir") -> Iterator[None]:
    """Hold the folder's lock while the block runs; make the folder if needed.

    Args:
        folder: the folder.
        option: the option that names it, for the error.

    The lock is the kernel's `flock` on a file. The file contains the holder's process id, for error
    messages. A killed holder leaves the file behind, but no lock. On Windows, and where the file
    system has no locks, nothing is locked. Readers (evaluate, predict) do
    not lock.

    Raises:
        CnnlabError: another process holds the lock (named), or the folder cannot be written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(folder / LOCK_FILE, option)
    try:
        yield
    finally:
        # Removed while locked: a process that has just opened it will see this, and retry.
        remove_if_possible(folder / LOCK_FILE)
        os.close(descriptor)
        _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    """Remove the folders that were made for the lock, if a failed run has left nothing in them."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # it is not empty
            return


def _acquire(path: Path, option: str) -> int:
    """Lock the file, and return its descriptor."""
    # A run directory from others may hold a link here, whose target must not be written to.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    while True:
        descriptor = os.open(path, flags, 0o644)
        try:
            flock(descriptor, path)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            who = "this process" if holder == str(os.getpid()) else f"process {holder}"
            raise CnnlabError(
                f"{path.parent} is in use: {who} is training there; wait for it or choose another "
                f"--{option}"
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        if _is_still(path, descriptor):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            return descriptor
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """Return whether the path still names the file that was opened."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
