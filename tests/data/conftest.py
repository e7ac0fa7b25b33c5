"""Fixtures of the tests that fetch."""

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
    """Give the only folder of PATH, where a test puts its own `npm`; there is none at first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder
