"""The data of one training run, loaded at first use and split as configured."""

from __future__ import annotations

import numpy.typing as npt

from cnnlab.base.errors import UsageError
from cnnlab.config.config import Config
from cnnlab.data.datasets import (
    Dataset,
    Split,
    dataset_from_arrays,
    load_dataset,
    split_validation,
    validation_size,
)
from cnnlab.data.specs import DatasetSpec, dataset_spec

Arrays = tuple[tuple[npt.ArrayLike, ...], tuple[npt.ArrayLike, npt.ArrayLike]]
SPLITS = ("train", "validation", "test")


class TrainingData:
    """The training, validation and test images of a configuration.

    Without a validation split, the test set also serves as the validation set.
    """

    def __init__(
        self, config: Config, arrays: Dataset | None, spec: DatasetSpec | None = None
    ) -> None:
        """Check the options that concern data.

        Args:
            config: a run's options.
            arrays: the data; None if `config.dataset` names it.
            spec: the facts about arrays that are not available; `split` then raises an error.

        Raises:
            UsageError: unknown data set, or a batch larger than the training set.
        """
        self._config = config
        self._dataset = arrays
        self._is_given = self._is_loaded = arrays is not None
        self._has_example_weights = arrays is not None and arrays.train.weights is not None
        self._splits: dict[str, Split] = {}
        self._is_absent = spec is not None
        if spec is None:
            spec = arrays.spec if arrays else dataset_spec(config.dataset, config.label_mode)
        self._spec = spec
        if config.verify_data:
            self._check_sizes(self._spec)

    @staticmethod
    def checked_arrays(data: Dataset | Arrays | None) -> Dataset | None:
        """Return the arrays that were given to Train as a Dataset.

        Raises:
            DataError: they are not ((train_images, train_labels), (test_images, test_labels)).
        """
        if data is None or isinstance(data, Dataset):
            return data
        return dataset_from_arrays(*data)

    @property
    def spec(self) -> DatasetSpec:
        """Shape, classes, and sizes before the validation split.

        Reading it loads the files only with `--verify_data=False`, when their sizes are unknown.
        """
        if not self._config.verify_data and not self._is_loaded:
            self._load()  # unofficial files may hold any number of images
        return self._spec

    @property
    def num_train(self) -> int:
        """Number of training images after the validation split."""
        num_images = self.spec.num_train
        return num_images - validation_size(num_images, self._config.validation_split)

    @property
    def has_example_weights(self) -> bool:
        """Whether each training image has a weight; only arrays can have weights."""
        return self._has_example_weights

    def split(self, name: str) -> Split:
        """Return the images and labels of "train", "validation" or "test".

        Raises:
            UsageError: unknown name, or the run's arrays are not available.
        """
        if self._is_absent:
            raise UsageError(
                f"the run was trained on arrays of a script ({self._config.dataset}), which no "
                "data file holds; evaluate it with --images=DIR, or in Python with "
                "evaluate(save_dir, data=(images, labels))"
            )
        if name not in SPLITS:
            raise UsageError(f"unknown split {name}; it is one of {', '.join(SPLITS)}")
        if name not in self._splits:
            dataset = self._load()
            train, validation = split_validation(
                dataset.train,
                self._config.validation_split,
                self._config.seed,
                dataset.spec.num_classes,
            )
            held_out = validation if len(validation.labels) else dataset.test
            self._splits = {"train": train, "validation": held_out, "test": dataset.test}
        return self._splits[name]

    def release_train(self) -> None:
        """Free the training images once the session holds them; `split` loads them again."""
        self._splits.pop("train", None)
        if not self._is_given:
            self._dataset = None

    def _load(self) -> Dataset:
        if self._dataset is None:
            config = self._config
            self._dataset = load_dataset(
                config.dataset,
                config.data_dir,
                label_mode=config.label_mode,
                verify=config.verify_data,
            )
            self._spec, self._is_loaded = self._dataset.spec, True
            self._check_sizes(self._spec)
        return self._dataset

    def _check_sizes(self, spec: DatasetSpec) -> None:
        num_train = spec.num_train - validation_size(spec.num_train, self._config.validation_split)
        if self._config.batch_size > num_train:
            raise UsageError(
                f"--batch_size={self._config.batch_size} is more than the {num_train} training "
                f"images of {spec.name}; use a smaller batch"
            )
