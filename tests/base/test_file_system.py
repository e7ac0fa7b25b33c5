"""File systems without locks, or without a way to wait for the disk: one warning, and on."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from cnnlab.base import file_system
from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import sync, write_atomically
from cnnlab.run.disk.lock import locked
from tests import small_run

UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


@pytest.fixture(autouse=True)
def nothing_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_system, "_missing", set())


def failing(number: int) -> Any:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", UNSUPPORTED)
def test_without_fsync(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "fsync", failing(number))
    for text in ("a", "b"):
        write_atomically(Path("file"), text)
        sync(Path())
    assert Path("file").read_text() == "b"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the file system of ")
    assert os.strerror(number) in line


@pytest.mark.parametrize("number", [errno.ENOLCK, *UNSUPPORTED])
def test_without_locks(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(number))
    for _ in range(2):
        with locked(Path("run")):
            assert Path("run/.lock").read_text() == str(os.getpid())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the file system of run/.lock has no locks")


def test_a_disk_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(CnnlabError, match="cannot write file: Input/output error"):
        write_atomically(Path("file"), "a")
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    with pytest.raises(CnnlabError, match="Input/output error"), locked(Path("run")):
        pass


@pytest.mark.slow
def test_a_run_on_such_a_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    with small_run.make(tmp_path / "run", small_run.linear, steps=2) as train:
        assert train.train()["finished"]
    assert capsys.readouterr().err.count("warning:") == 2
