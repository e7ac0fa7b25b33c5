"""The recipes of CIFAR-100, on small files in its official layout."""

from pathlib import Path

import numpy as np
import pytest

from cnnlab import Train
from cnnlab.config.resolve import resolve
from cnnlab.data.training_data import TrainingData
from tests.data import fakes
from tests.data.test_datasets import small


@pytest.mark.parametrize(("recipe", "classes"), [("cifar100_cnn", 100), ("cifar100_coarse", 20)])
def test_the_recipes_of_cifar100_read_the_official_layout(
    recipe: str, classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "cifar100")
    fakes.write_files(tmp_path / "cifar-100-binary", files)
    options = {"config": recipe, "data_dir": str(tmp_path), "batch_size": 3, "verify_data": False}
    data = TrainingData(resolve(options), None)
    train = np.frombuffer(files["train.bin"], np.uint8).reshape(fakes.RECORDS, -1)
    assert data.split("train").labels.tolist() == train[:, int(classes == 100)].tolist()
    assert data.spec.num_classes == classes


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "classes"), [("cifar100_cnn", 100), ("cifar100_coarse", 20)])
def test_the_recipes_of_cifar100_train(recipe: str, classes: int, tmp_path: Path) -> None:
    fakes.write_files(tmp_path / "cifar-100-binary", fakes.fake_files("cifar100"))
    options = {"data_dir": str(tmp_path), "batch_size": 3, "verify_data": False, "steps": 2}
    with Train(config=recipe, save_dir=str(tmp_path / "save"), **options) as train:
        result = train.train()
        assert train.logits.shape.as_list() == [None, classes]
    assert (result["finished"], result["n"]) == (True, fakes.RECORDS)
