"""The data of one training run, loaded at first use and split as configured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnlab.base.errors import UsageError
from cnnlab.config.config import Config
from cnnlab.config.input_options import is_pictures
from cnnlab.data.arrays import Pair, check_fitting
from cnnlab.data.augment import shape_after
from cnnlab.data.batches import check_class_weights
from cnnlab.data.class_balance import ClassBalance
from cnnlab.data.datasets import (
    Dataset,
    Split,
    load_dataset,
    part_of,
    split_validation,
    validation_size,
)
from cnnlab.data.folders.picture_set import Pictures
from cnnlab.data.row_images import RowImages
from cnnlab.data.sampling import epoch_size
from cnnlab.data.specs import DatasetSpec, dataset_spec
from cnnlab.data.target_options import check_target_options, check_values, check_values_of

SPLITS = ("train", "validation", "test")


class TrainingData:
    """The training, validation and test images of a configuration.

    The validation set is that of the arrays or pictures, or split off the training set. Without
    either, the test set also serves as the validation set.
    """

    def __init__(
        self, config: Config, arrays: Dataset | None, spec: DatasetSpec | None = None
    ) -> None:
        """Check the options that concern data.

        Args:
            config: a run's options.
            arrays: the data; None if `config.dataset` names it.
            spec: the recorded facts of a run. Arrays are then not available, and `split` raises an
                error; pictures are only looked for when they are needed.

        Raises:
            UsageError: unknown data set, a batch larger than the training set, or options of the
                validation set that do not fit the data.
            DataError: the pictures are not as `cnnlab.data.folders` needs them.
        """
        self._config = config
        self._of_pictures = arrays is None and is_pictures(config.dataset)
        self._pictures: Pictures | None = None
        self._recorded = spec
        self._dataset = self._arrays = arrays
        self._is_given = self._is_loaded = arrays is not None
        self._splits: dict[str, Split] = {}
        self._class_counts: list[int] | None = None
        self._is_absent = spec is not None and not self._of_pictures
        if spec is None and self._of_pictures:
            spec = self._list_pictures().spec
            self._check_validation(self._list_pictures().has_validation)
        elif spec is None:
            spec = arrays.spec if arrays else dataset_spec(config.dataset, config.label_mode)
            self._check_validation(arrays is not None and arrays.validation is not None)
        self._spec = spec
        if not self._reads_for_sizes:
            self._check_sizes(self._spec)

    @property
    def spec(self) -> DatasetSpec:
        """Shape, classes, and sizes before the validation split.

        Reading it loads the files only with `--verify_data=False` or `--bad_files=skip`, when their
        sizes are unknown.
        """
        if self._reads_for_sizes and not self._is_loaded:
            self._load()  # unofficial files may hold any number of images
        return self._spec

    @property
    def _reads_for_sizes(self) -> bool:
        if self._of_pictures:
            return self._recorded is None and self._config.bad_files == "skip"
        return not self._config.verify_data

    @property
    def is_absent(self) -> bool:
        """Whether the run was trained on arrays of a script, which are not available."""
        return self._is_absent

    @property
    def num_train(self) -> int:
        """Number of training images after the validation split."""
        num_images = self.spec.num_train
        return num_images - validation_size(num_images, self._validation_split)

    @property
    def class_counts(self) -> Sequence[int] | None:
        """Training images of each class, where the sampling needs them; else None.

        Its first use loads the training set.
        """
        return None if self._config.sampling == "shuffle" else self._count_classes()

    @property
    def epoch_size(self) -> int:
        """Number of images that an epoch draws; see `cnnlab.data.sampling`."""
        if self._config.sampling in ("shuffle", "balanced") or self.class_counts is None:
            return self.num_train
        return epoch_size(self._config.sampling, self.class_counts)

    @property
    def balance(self) -> ClassBalance | None:
        """What training makes of each class; None: it treats all images alike."""
        if self._config.sampling == "shuffle" and self._config.class_weights is None:
            return None
        return ClassBalance(self._config, self._count_classes(), self.spec.class_names)

    @property
    def _validation_split(self) -> float:
        """The fraction of the training set that is yet to be split off; pictures are divided."""
        return 0.0 if self._of_pictures else self._config.validation_split

    @property
    def unofficial(self) -> Dataset | None:
        """Arrays, or files that were not verified; None if name or pictures say it all."""
        is_official = not self._is_given and self._config.verify_data
        return None if self._of_pictures or is_official else self._load()

    @property
    def has_example_weights(self) -> bool:
        """Whether each training image has a weight; only arrays can have weights."""
        has_array = self._arrays is not None and self._arrays.train.weights is not None
        return has_array or "weights" in self.read_columns

    @property
    def read_columns(self) -> tuple[str, ...]:
        """The columns of the training set that are read row by row while it trains."""
        if self._of_pictures:
            return () if self._list_pictures().place == "memory" else RowImages.read_columns
        return (
            () if self._arrays is None else getattr(self._arrays.train.images, "read_columns", ())
        )

    def fingerprints(self) -> dict[str, str] | None:
        """Return digests of the pictures' files; None if the data is something else."""
        if not self._of_pictures:
            return None
        self._load()  # finds the pictures that cannot be read
        return self._list_pictures().fingerprints()

    def split(self, name: str) -> Split:
        """Return the images and labels of "train", "validation" or "test".

        Raises:
            UsageError: unknown name, or the run's arrays are not available.
        """
        if self._is_absent:
            raise UsageError(
                f"the run was trained on arrays of a script ({self._config.dataset}), which no "
                "data file holds; evaluate it with --images=DIR, or in Python with "
                "evaluate(save_dir, data=(images, labels)); report takes data=, too"
            )
        if name not in SPLITS:
            raise UsageError(f"unknown split {name}; it is one of {', '.join(SPLITS)}")
        if self._of_pictures and self._dataset is None and name not in self._splits:
            pictures = self._list_pictures()
            is_test = name == "validation" and not pictures.has_validation
            self._splits[name] = self.split("test") if is_test else pictures.load(name)
        if name not in self._splits:
            dataset = self._load()
            train, held_out = dataset.train, dataset.validation or dataset.test
            if self._validation_split:
                train, held_out = split_validation(
                    train, self._validation_split, self._config.seed, dataset.spec.num_classes
                )
            self._splits = {"train": train, "validation": held_out, "test": dataset.test}
        return self._splits[name]

    def chosen(self, split: str | Split | Pair, limit: int | None = None, turn: int = 0) -> Split:
        """Return a split by its name, or images and labels of the caller's, checked.

        Args:
            split: a name, or images and labels.
            limit, turn: see `part_of`; a split of pictures is sorted by class.

        Raises:
            UsageError: as for `split`.
            DataError: the caller's images or labels do not fit the run's data.
        """
        if isinstance(split, str):
            found, is_sorted = self.split(split), self._of_pictures
        else:
            found, is_sorted = check_fitting("given", split, self.spec), False
            check_values(self._config.loss, self.spec.targets, "given", found.labels)
        return part_of(found, limit, turn, is_sorted=is_sorted)

    def schedule_length(self, config: Config) -> int:
        """Return T, the length of the schedule of `config` in steps."""
        return config.schedule_length(self.epoch_size)

    def _count_classes(self) -> list[int]:
        if self._class_counts is None:
            labels = self.split("train").labels
            self._class_counts = np.bincount(labels, minlength=self.spec.num_classes).tolist()
        return self._class_counts

    def release_train(self) -> None:
        """Free the training images once the session holds them; `split` loads them again."""
        _ = self.balance  # later this would load them again
        self._splits.pop("train", None)
        if not self._is_given:
            self._dataset = None

    def check_options(self) -> None:
        """Raise UsageError if an option does not fit the data."""
        config = self._config
        shape_after(config.augment, self.spec.image_shape)
        check_target_options(config, self.spec)
        if self._arrays is not None:
            check_values_of(config.loss, self._arrays)
        elif self.spec.targets == "values":
            for name in SPLITS:
                labels = self._list_pictures().labels_of(name)
                check_values(config.loss, self.spec.targets, name, labels)
        check_class_weights(config.class_weights, self.spec.class_names)
        warmup = config.warmup_steps if config.depends_on_length else 0
        if warmup and warmup >= (length := self.schedule_length(config)):
            why = f"leaves nothing of the {length} steps for --schedule={config.schedule}"
            raise UsageError(f"--warmup_steps={warmup} {why}")

    def files_of(self, name: str) -> list[str] | None:
        """Return the path of each image of a split, if they are pictures; else None."""
        if not self._of_pictures:
            return None
        self.split(name)  # finds the pictures that cannot be read
        pictures = self._list_pictures()
        is_test = name == "validation" and not pictures.has_validation
        return pictures.files_of("test" if is_test else name)

    def _list_pictures(self) -> Pictures:
        """Return the pictures; in a run they must be those that the run was trained on.

        Raises:
            DataError: they are others.
        """
        if self._pictures is None:
            then = self._recorded
            self._pictures = Pictures(self._config, then.image_shape[:2] if then else None)
            if then is not None:
                self._pictures.check_as_recorded(then)
        return self._pictures

    def _load(self) -> Dataset:
        if self._dataset is not None:
            return self._dataset
        config = self._config
        if self._of_pictures:
            self._dataset = self._list_pictures().load_all()
        else:
            options: dict[str, Any] = {
                "label_mode": config.label_mode,
                "verify": config.verify_data,
            }
            self._dataset = load_dataset(config.dataset, config.data_dir, **options)
        self._spec, self._is_loaded = self._dataset.spec, True
        self._check_sizes(self._spec)
        return self._dataset

    def _check_validation(self, is_given: bool) -> None:
        fraction = self._config.validation_split
        if is_given and self._validation_split:
            raise UsageError(
                f"--validation_split={fraction} splits the training set, but the data has a "
                "validation set; leave out one of them"
            )
        is_on_test = self._config.validate_on == "test"
        if self._config.restore_best and (is_on_test or not (is_given or fraction)):
            remedy = "leave out --validate_on=test" if is_on_test else "add --validation_split=0.1"
            raise UsageError(
                "--restore_best needs a validation set, or it would choose the weights on the test "
                f"set; {remedy}"
            )

    def _check_sizes(self, spec: DatasetSpec) -> None:
        num_train = spec.num_train - validation_size(spec.num_train, self._validation_split)
        if self._config.batch_size > num_train:
            raise UsageError(
                f"--batch_size={self._config.batch_size} is more than the {num_train} training "
                f"images of {spec.name}; use a smaller batch"
            )
