"""Archives: only the chosen regular files are read."""

import os
import tarfile
from pathlib import Path

import pytest

from cnnlab.base.errors import DataError
from cnnlab.data.files import archives
from tests.data import fakes


def test_tar_reads_the_chosen_members(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(fakes.tar_gz({"./d/x": b"1", "d/y": b"22", "../x": b"3", "x": b"4"}))
    assert archives.read_tar_members(path, {"d/x", "d/y"}) == {"d/x": b"1", "d/y": b"22"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"5", b"6"])
def test_tar_member_that_is_no_regular_file_is_refused(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("d/x")
    info.type, info.linkname = kind, "/etc/passwd"
    path = tmp_path / "a.tar.gz"
    path.write_bytes(fakes.tar_gz({"d/x": info}))
    with pytest.raises(DataError, match="d/x is not a regular file"):
        archives.read_tar_members(path, {"d/x"})


def test_tar_without_a_wanted_member_or_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    data = fakes.tar_gz({"../d/x": b"1", "/d/x": b"2", "d/z": os.urandom(1000)})
    path.write_bytes(data)
    with pytest.raises(DataError, match="no d/x in this archive"):
        archives.read_tar_members(path, {"d/x"})
    for broken in (b"", b"<html>", data[:100], data[:-9], fakes.gzipped(b"x" * 600)):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.tar\.gz: ") as error:
            archives.read_tar_members(path, {"d/x"})
        fakes.assert_one_line(error)


def test_tar_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_ARCHIVE_BYTES", 100_000)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(fakes.tar_gz({"big": bytes(200_000), "d/x": b"1"}))
    with pytest.raises(DataError, match="unpacks to more than 100000 bytes"):
        archives.read_tar_members(path, {"d/x"})
