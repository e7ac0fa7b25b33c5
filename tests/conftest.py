"""Fixtures of all tests."""

from pathlib import Path
from typing import Any

import pytest

from tests import commands


@pytest.fixture(autouse=True)
def in_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test writes to ./save or ./logs is its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(commands.ROOT))  # for the processes that it starts


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that the real command made: a finished process and the folder it ran in."""
    folder = tmp_path_factory.mktemp("trained")
    return commands.Finished(commands.start("cnnlab.train", *commands.TRAIN, cwd=folder), folder)
