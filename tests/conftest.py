"""Fixtures of all tests."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnnlab.base.words import words_of_a_command
from tests import commands

# As cnnlab does; here, because some tests import TensorFlow before it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# The key that signs the code of runs is made here, not in the home folder of who runs the tests.
_HOME = tempfile.TemporaryDirectory()
os.environ["XDG_CONFIG_HOME"] = _HOME.name


@pytest.fixture(autouse=True)
def in_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test writes to ./save or ./logs is its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(commands.ROOT))  # for the processes that it starts


@pytest.fixture(autouse=True)
def words_as_written() -> Iterator[None]:
    """Messages are asserted as the source has them, with flags; test_words has Python's words."""
    with words_of_a_command():
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Any:
    """A run that the real command made: a finished process and the folder it ran in.

    One for all processes that share the tests: the first that wants it makes it.
    """
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    folder, outcome = shared / "trained", shared / "trained.json"
    with (shared / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outcome.exists():
            folder.mkdir()
            process = commands.start("cnnlab.train", *commands.TRAIN, cwd=folder)
            done = commands.finish(process, folder)
            outcome.write_text(json.dumps([done.stdout, done.stderr, done.code]))
    return commands.Finished(*json.loads(outcome.read_text()), folder)
