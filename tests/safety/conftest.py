"""A small finished run, made once; each test damages its own copy."""

import shutil
from pathlib import Path

import pytest

from cnnlab import Train
from scripts.safety.cases import OPTIONS


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    save_dir = tmp_path_factory.mktemp("finished") / "run"
    with Train(**OPTIONS, save_dir=str(save_dir), log_dir=str(save_dir / "logs")) as train:
        train.train()
    return save_dir


@pytest.fixture
def run_dir(finished_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "run")
