"""Locks and waiting for the disk, which some file systems cannot do.

Network file systems and those of containers may lack them. Then cnnlab warns once and goes on.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnlab.base.printing import print_lines
from cnnlab.base.safe_text import for_terminal

_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_NO_LOCKS = (errno.ENOLCK, errno.EBADF, *_UNSUPPORTED)  # EBADF: of a folder on NFS
_missing: set[str] = set()  # what this process has warned of


def fsync(descriptor: int, path: Path) -> None:
    """Wait until an open file, or a folder's list of names, is on the disk.

    Args:
        descriptor: of the file or folder.
        path: its path, for the warning.

    Raises:
        OSError: the disk fails.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _warn_once(
            "fsync",
            f"the file system of {path} cannot say when its files are on the disk "
            f"({error.strerror}); a power cut may damage the newest ones",
        )


def flock(descriptor: int, path: Path, *, is_patient: bool = False) -> None:
    """Lock an open file until it is closed; on Windows, do nothing.

    Args:
        descriptor: of the file.
        path: its path, for the warning.
        is_patient: whether to wait until another process releases the lock.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the lock fails for another reason.
    """
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if is_patient else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _warn_once(
            "flock",
            f"the file system of {path} has no locks ({error.strerror}); see that no two processes "
            "write into the folder at the same time",
        )


@contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Lock a folder while the block runs; wait while another process has it locked.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flock(descriptor, folder, is_patient=True)
        yield
    finally:
        os.close(descriptor)


def _warn_once(what: str, text: str) -> None:
    if what not in _missing:
        _missing.add(what)
        print_lines(f"warning: {for_terminal(text)}", to_stderr=True)
