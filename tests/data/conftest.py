"""Fixtures for tests that fetch files."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data import servers


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with servers.Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the only one in PATH, for a test's fake `npm`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder
