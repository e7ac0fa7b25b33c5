"""The facts about the named data sets, and the errors for unknown names."""

import itertools

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.data.datasets import dataset_spec, load_dataset
from cnnlab.data.specs import DATASETS, OFFICIAL_FILES, label_files


def test_unknown_names() -> None:
    with pytest.raises(UsageError) as error:
        dataset_spec("cifra10")
    assert str(error.value) == "unknown dataset cifra10; did you mean cifar10?"
    with pytest.raises(UsageError, match="unknown dataset zzz; known: cifar10, cifar100, mnist"):
        load_dataset("zzz", ".")
    with pytest.raises(UsageError, match="unknown label_mode 'rough': choose fine or coarse"):
        dataset_spec("cifar100", "rough")
    with pytest.raises(UsageError, match="'coarse' is for cifar100 only; use 'fine' for mnist"):
        dataset_spec("mnist", "coarse")


def test_specs() -> None:
    sizes = {
        s.name: (s.image_shape, s.num_classes, s.num_train, s.num_test) for s in DATASETS.values()
    }
    assert sizes == {
        "cifar10": ((32, 32, 3), 10, 50000, 10000),
        "cifar100": ((32, 32, 3), 100, 50000, 10000),
        "mnist": ((28, 28, 1), 10, 60000, 10000),
        "fashion_mnist": ((28, 28, 1), 10, 60000, 10000),
        "mnist_distorted": ((28, 28, 1), 10, 60000, 10000),
        "shapes": ((32, 32, 3), 10, 5000, 1000),
    }
    coarse = dataset_spec("cifar100", "coarse").class_names
    fine = dataset_spec("cifar100").class_names
    assert (len(set(coarse)), len(set(fine))) == (20, 100)
    for names in (coarse, fine):  # the official order is alphabetical
        assert all(a < b for a, b in itertools.pairwise(names))
    assert label_files("cifar100")["fine_label_names.txt"].startswith("apple\naquarium_fish\n")
    official = OFFICIAL_FILES["mnist"][0]
    assert official.size_bytes == 47040016
    assert OFFICIAL_FILES["cifar10"][0].size_bytes == 30730000
