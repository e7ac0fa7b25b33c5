"""Downloads and `npm pack`: complete or not at all, with a quick and clear failure."""

import sys
import time
from pathlib import Path

import pytest

from cnnlab.data.files import download
from tests.data import servers


def test_transfer_that_always_breaks_off_fails(server: servers.Server, tmp_path: Path) -> None:
    server.files["/x"] = bytes(1000)
    server.num_broken = 9
    with pytest.raises(
        download.SourceError, match="the transfer broke off 3 times: expected 1000 bytes, found 500"
    ):
        download.download(f"{server.address}/x", tmp_path / "x", servers.quiet)
    assert not list(tmp_path.iterdir())


def test_download_with_a_wrong_checksum_leaves_no_file(
    server: servers.Server, tmp_path: Path
) -> None:
    server.files["/x"] = b"abc"
    url = f"{server.address}/x"
    with pytest.raises(
        download.SourceError, match="expected MD5 0, found 900150983cd24fb0d6963f7d"
    ):
        download.download(url, tmp_path / "x", servers.quiet, md5="0")
    assert not list(tmp_path.iterdir())
    download.download(url, tmp_path / "x", servers.quiet, md5="900150983cd24fb0d6963f7d28e17f72")
    assert (tmp_path / "x").read_bytes() == b"abc"


def test_silent_or_absent_server_fails_quickly(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "CONNECT_TIMEOUT_SECS", 0.1)
    server.delay_secs = 0.3
    with pytest.raises(download.SourceError, match=r"no answer within 0\.1 seconds"):
        download.download(f"{server.address}/x", tmp_path / "x", servers.quiet)
    with pytest.raises(download.SourceError, match="Connection refused"):
        download.download("http://127.0.0.1:1/x", tmp_path / "x", servers.quiet)


def test_endless_download_is_refused(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_DOWNLOAD_BYTES", 999)
    server.files["/x"] = bytes(1000)
    with pytest.raises(download.SourceError, match="more than 999 bytes"):
        download.download(f"{server.address}/x", tmp_path / "x", servers.quiet)
    assert not list(tmp_path.iterdir())


def test_failing_npm_reports_its_error(npm: Path, tmp_path: Path) -> None:
    servers.write_npm(
        npm,
        """
        print("npm error code E404", file=sys.stderr)
        print("npm error 404 Not Found", file=sys.stderr)
        print("npm error A complete log of this run can be found in: /x/y.log", file=sys.stderr)
        sys.exit(1)
        """,
    )
    reason = r"^npm pack failed \(exit 1\): code E404 404 Not Found$"
    with pytest.raises(download.SourceError, match=reason):
        download.npm_pack("p@1", tmp_path, servers.quiet)


def test_hanging_npm_is_killed_with_its_children(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "NPM_TIMEOUT_SECS", 1.0)
    pids = tmp_path / "pids"
    servers.write_npm(
        npm,
        f"""
        child = os.fork()
        if child:
            open({str(pids)!r}, "w").write(str(child))
        time.sleep(60)
        """,
    )
    start = time.monotonic()
    with pytest.raises(download.SourceError, match="npm pack took more than 1 seconds"):
        download.npm_pack("p@1", tmp_path, servers.quiet)
    assert time.monotonic() - start < 20
    child = int(pids.read_text())
    for _ in range(100):  # init reaps the orphan after a while
        if not _is_running(child):
            break
        time.sleep(0.05)
    assert not _is_running(child)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_progress_is_called_after_every_chunk(server: servers.Server, tmp_path: Path) -> None:
    server.files["/x"] = bytes(700_000)
    seen: list[tuple[str, int, int | None]] = []
    url = f"{server.address}/x"
    download.download(url, tmp_path / "x", lambda *args: seen.append(args))
    assert seen[0] == (url, 0, 700_000)
    assert seen[-1] == (url, 700_000, 700_000)
    assert len(seen) > 2


def test_progress_on_a_terminal_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = download.TerminalProgress()
    for done in (0, 500_000, 1_000_000):
        progress("file", done, 1_000_000)
    progress.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert "file: 100%" in err
    assert err.count("\n") == 1


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """Someone put a link where the unfinished file will be, in a folder that users share."""
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".file.part").symlink_to("precious")
    with download.atomic_file(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_link_that_cannot_be_removed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".file.part").symlink_to("precious")
    monkeypatch.setattr(Path, "unlink", lambda *_args, **_kwargs: None)
    with pytest.raises(FileExistsError), download.atomic_file(tmp_path / "file"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"
