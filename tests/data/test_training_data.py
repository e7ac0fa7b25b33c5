"""The data of one training run: loaded at first use and split as configured."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import UsageError
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.data import training_data as module
from cnnlab.data.arrays import dataset_of
from cnnlab.data.training_data import SPLITS, TrainingData
from tests import small_run


def of_arrays(**options: Any) -> TrainingData:
    config = opts.build(Config, {"batch_size": 5, **options})
    return TrainingData(config, dataset_of(small_run.arrays()))


def test_without_a_split_the_test_set_is_the_validation_set() -> None:
    data = of_arrays()
    assert data.num_train == 20
    assert data.split("validation") is data.split("test") or np.array_equal(
        data.split("validation").images, data.split("test").images
    )
    assert len(data.split("train").labels) == 20


def test_a_validation_split() -> None:
    data = of_arrays(validation_split=0.2)
    assert data.num_train == len(data.split("train").labels) == 16
    assert np.bincount(data.split("validation").labels).tolist() == [1, 1, 1, 1]  # stratified
    assert len(data.split("test").labels) == 7
    again = of_arrays(validation_split=0.2)
    assert np.array_equal(again.split("validation").images, data.split("validation").images)
    other = of_arrays(validation_split=0.2, seed=2)
    assert not np.array_equal(other.split("validation").images, data.split("validation").images)
    together = np.concatenate([data.split("train").images, data.split("validation").images])
    images = {image.tobytes() for image in small_run.arrays()[0][0]}
    assert {image.tobytes() for image in together} == images


def test_three_pairs_are_train_validation_test() -> None:
    train, test = small_run.arrays()
    validation = (255 - test[0][:5], test[1][:5])
    config = opts.build(Config, {"batch_size": 20, "restore_best": True})
    data = TrainingData(config, dataset_of((train, validation, test)))
    assert data.num_train == 20
    for name, (images, labels) in zip(SPLITS, (train, validation, test), strict=True):
        assert np.array_equal(data.split(name).images, images), name
        assert np.array_equal(data.split(name).labels, labels), name
    with pytest.raises(UsageError, match=r"--validation_split=0\.2 splits the training set, but"):
        TrainingData(opts.replace(config, validation_split=0.2), dataset_of((train, test, test)))


def test_the_best_weights_are_not_chosen_on_the_test_set() -> None:
    with pytest.raises(UsageError, match="--restore_best needs a validation set"):
        of_arrays(restore_best=True)
    with pytest.raises(UsageError, match="--restore_best needs a validation set"):
        TrainingData(Config(dataset="mnist", restore_best=True), None)
    assert of_arrays(restore_best=True, validation_split=0.2).num_train == 16


def test_an_unknown_split() -> None:
    with pytest.raises(UsageError, match="unknown split dev; it is one of train, validation, test"):
        of_arrays().split("dev")


def test_spec_and_num_train_need_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_args: Any, **_options: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(module, "load_dataset", load)
    data = TrainingData(Config(dataset="mnist", validation_split=0.1), None)
    assert data.spec.image_shape == (28, 28, 1)
    assert data.num_train == 54_000
    with pytest.raises(AssertionError):
        data.split("train")


def test_files_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = dataset_of(small_run.arrays())
    calls = []

    def load(name: str, data_dir: str, **options: Any) -> Any:
        calls.append((name, data_dir, options))
        return arrays

    monkeypatch.setattr(module, "load_dataset", load)
    config = Config(dataset="cifar100", data_dir="d", label_mode="coarse", verify_data=False)
    data = TrainingData(opts.replace(config, batch_size=20), None)
    assert data.num_train == 20  # unofficial files may hold any number of images
    data.split("train")
    data.split("test")
    assert calls == [("cifar100", "d", {"label_mode": "coarse", "verify": False})]
    with pytest.raises(UsageError, match="--batch_size=21 is more than the 20 training images"):
        TrainingData(opts.replace(config, batch_size=21), None).spec  # noqa: B018
    assert list(Path().iterdir()) == []
