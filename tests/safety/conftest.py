"""A small finished run, made once, of which each test damages its own copy."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cnnlab import Train

OPTIONS: dict[str, Any] = {
    "dataset": "shapes",
    "model": "mnist_perceptron",
    "batch_size": 50,
    "learning_rate": 1e-4,
    "steps": 30,
    "checkpoint_steps": 10,
    "eval_steps": 10,
    "eval_examples": 50,
    "summary_steps": 5,
}


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    save_dir = tmp_path_factory.mktemp("finished") / "run"
    with Train(**OPTIONS, save_dir=str(save_dir), log_dir=str(save_dir / "logs")) as train:
        train.train()
    return save_dir


@pytest.fixture
def run_dir(finished_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "run")
