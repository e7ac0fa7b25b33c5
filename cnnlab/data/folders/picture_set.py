"""The pictures of folder:PATH and list:FILE.csv: which there are, their splits and labels."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from cnnlab.base.errors import DataError, UsageError
from cnnlab.base.machine import memory_bytes
from cnnlab.base.printing import print_lines
from cnnlab.config.config import Config
from cnnlab.data.datasets import Dataset, Split
from cnnlab.data.folders.class_folders import list_folder
from cnnlab.data.folders.csv_list import list_csv
from cnnlab.data.folders.dividing import divide
from cnnlab.data.folders.found import TEST, TRAIN, VALIDATION, Found, Listing, labels_of
from cnnlab.data.folders.picture_reader import PictureReader, refuse_if_asked
from cnnlab.data.folders.value_columns import value_columns
from cnnlab.data.image_files.borders import background_of
from cnnlab.data.image_files.headers import read_header
from cnnlab.data.image_files.images import unwarned
from cnnlab.data.row_images import RowImages
from cnnlab.data.specs import DatasetSpec, Targets

_CHANNELS: Final = {"grayscale": 1, "rgb": 3, "rgba": 4}
_LARGEST_SHARE: Final = 0.25  # of the memory, that pictures fill with --cache=auto
_GIB: Final = 2**30


class Pictures:
    """The pictures of a data set, listed and divided into splits at once, read when asked for.

    Attributes:
        listing: what is in the folder, or in the list.
        found: all pictures with their splits, sorted by name. Their index is their row.
        spec: the facts about the data set. With `--bad_files=skip` its sizes are only known, and
            `skipped` filled, after `load_all`.
        place: "memory", "disk" or "none", where the pixels are kept; see the option cache.
        reader: reads their images.
    """

    place: str

    def __init__(self, config: Config, size: Sequence[int] | None = None) -> None:
        """List the pictures, and read their headers if the size is not given.

        Args:
            config: a run's options.
            size: height and width; default: `config.image_size`, or that of all pictures.

        Raises:
            UsageError: an option does not fit the pictures.
            DataError: the pictures are not as `list_folder`, `list_csv` or `divide` need them, have
                different sizes, or need more memory than this machine has.
        """
        self._config = config
        self.listing = list_pictures(config.dataset, config.heads)
        is_decided = all(one.split for one in self.listing.found)
        several = self.listing.has_several
        self.found = divide(
            self.listing.found,
            config.test_split,
            config.validation_split,
            config.group,
            has_several=several,
        )
        self._bad: dict[int, DataError] = {}
        self._labels = {name: i for i, name in enumerate(self.listing.class_names())}
        size = size or config.image_size or self._common_size()
        counts = Counter(one.split for one in self.found)
        self.spec = DatasetSpec(
            config.dataset,
            (size[0], size[1], _CHANNELS[config.color_mode]),
            tuple(self._labels),
            counts[TRAIN],
            counts[TEST],
            self.listing.targets,
            divided=None if is_decided and not config.validation_split else _digest(self.found),
        )
        self.reader = PictureReader(config, self.found, self.spec.image_shape, self._bad)
        self.place = config.cache
        if config.cache == "auto":
            is_small = self._needed_bytes < _LARGEST_SHARE * memory_bytes()
            self.place = "memory" if is_small else "disk"

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation set beside the test set."""
        return any(one.split == VALIDATION for one in self.found)

    def rows_of(self, split: str) -> list[int]:
        """Return the rows of a split, without those of pictures that cannot be read."""
        return [
            row for row, one in enumerate(self.found) if one.split == split and row not in self._bad
        ]

    def files_of(self, split: str) -> list[str]:
        """Return the paths of a split, without those of pictures that cannot be read."""
        return [self.found[row].path for row in self.rows_of(split)]

    def load(self, split: str) -> Split:
        """Return the images and labels of a split; images that are kept in memory are decoded.

        Raises:
            DataError: a picture cannot be read, unless `--bad_files=skip` leaves it out; or then no
                picture of a class is left for training.
        """
        if self.place == "memory":
            images: Any = self.reader.load(self.rows_of(split), split)
        else:
            from_cache = self.place == "disk"
            read = self.reader.read_from_cache() if from_cache else self.reader.read_from_files()
            rows = np.array(self.rows_of(split), np.int64)
            images = RowImages(read, rows, self.spec.image_shape)
        self._say_films()
        labels = self.labels_of(split)
        if not len(labels):
            raise DataError(f"no picture of the {split} set can be read; replace the files")
        return Split(images, labels)

    def labels_of(self, split: str) -> Any:
        """Return the labels of a split, as `cnnlab.data.array_labels` says."""
        if self.listing.values:
            return np.array([self.found[i].values for i in self.rows_of(split)], np.float32)
        several = self.listing.has_several
        own = [labels_of(self.found[i], has_several=several) for i in self.rows_of(split)]
        lost = self._labels.keys() - set(itertools.chain(*own))
        if lost and split == TRAIN:
            what = "label" if several else "class"
            raise DataError(f"no picture of the {what} {min(lost)} can be read; replace the files")
        numbers = [[self._labels[name] for name in names] for names in own]
        if not several:
            return np.array([number for (number,) in numbers], np.int32)
        labels = np.zeros((len(own), len(self._labels)), np.float32)
        for row, given in zip(labels, numbers, strict=True):
            row[given] = 1
        return labels

    def load_all(self) -> Dataset:
        """Return all pictures, and complete `spec`.

        Raises:
            DataError: see `load`.
        """
        if self.place == "memory":
            self._check_memory()
        train, test = self.load(TRAIN), self.load(TEST)
        validation = self.load(VALIDATION) if self.has_validation else None
        self.spec = dataclasses.replace(
            self.spec,
            num_train=len(train.labels),
            num_test=len(test.labels),
            background=background_of(train.images, None),
            skipped=tuple(self.found[row].path for row in sorted(self._bad)),
        )
        self._say_what_is_left_out()
        return Dataset(self.spec, train, test, validation)

    def fingerprints(self) -> dict[str, str]:
        """Return a digest of the files of each split: their contents, labels and order of names."""
        found = {}
        for split in (TRAIN, VALIDATION, TEST):
            rows = self.rows_of(split)
            total = hashlib.blake2b(self.reader.contents.digests[rows].tobytes(), digest_size=16)
            for row in rows:
                total.update(f"{self.found[row].target}\0".encode("utf-8", "surrogateescape"))
            if rows:
                found[f"{split} images"] = total.hexdigest()
        return found

    def check_as_recorded(self, then: DatasetSpec) -> None:
        """Raise DataError if a run was trained on other pictures.

        Args:
            then: the facts that the run has recorded.
        """
        name = self._config.dataset
        if self.spec.class_names != then.class_names:
            raise DataError(
                f"{name} has other classes than the run: {', '.join(self.spec.class_names[:12])}; "
                "evaluate it with --images=DIR"
            )
        if self.spec.divided != then.divided:
            raise DataError(
                f"{name} has other pictures than when the run began, so its split cannot be made "
                "again; bring back the files, or evaluate with --images=DIR"
            )

    def _say_films(self) -> None:
        """Print a note about files with several frames, once."""
        if films := sorted(self.reader.films):
            print_lines(
                f"note: {len(films)} pictures have several frames, and only the first is used, "
                f"such as {films[0]}",
                to_stderr=True,
            )
            self.reader.films.clear()

    def _say_what_is_left_out(self) -> None:
        """Print a note about files that are not used, on stderr."""
        for kind, paths in (
            ("hidden", self.listing.hidden),
            ("no pictures", self.listing.others),
            ("damaged", [str(error) for error in self._bad.values()]),
        ):
            if paths:
                line = f"note: {len(paths)} files are left out because they are {kind}"
                print_lines(f"{line}, such as {paths[0]}", to_stderr=True)

    def _common_size(self) -> tuple[int, int]:
        """Return height and width of all pictures."""
        first: tuple[str, int, int] | None = None
        with unwarned():
            for row, one in enumerate(self.found):
                try:
                    header = read_header(one.path)
                except DataError as error:
                    refuse_if_asked(error, self._config)
                    self._bad[row] = error
                    continue
                first = first or (one.path, header.height, header.width)
                if (header.height, header.width) != first[1:]:
                    raise UsageError(
                        f"{one.path} has {header.width} x {header.height} pixels, but {first[0]} "
                        f"{first[2]} x {first[1]}; choose one height and width for all, as in "
                        "--image_size=150,150"
                    )
        if first is None:
            raise DataError(f"no picture of {self._config.dataset} can be read; replace the files")
        return first[1:]

    @property
    def _needed_bytes(self) -> int:
        """The memory that all images take."""
        # TensorFlow holds a copy of the training set while NumPy still has it.
        counts = Counter(one.split for one in self.found)
        copies = 2 * counts[TRAIN] + counts[TEST] + counts[VALIDATION]
        return copies * math.prod(self.spec.image_shape)

    def _check_memory(self) -> None:
        needed, there = self._needed_bytes, memory_bytes()
        if needed > there:
            shape = " x ".join(map(str, self.spec.image_shape))
            raise DataError(
                f"{len(self.found)} pictures of {shape} need {needed / _GIB:.1f} GiB, but this "
                f"machine has {there / _GIB:.1f} GiB; choose --cache=disk, --cache=none, or a "
                "smaller --image_size"
            )


def targets_by_name(config: Config) -> Targets:
    """Return the kind of labels of the data set that the options name.

    Of a table only the first line is read. A table that cannot be read counts as one of classes; it
    is refused when its pictures are listed.
    """
    kind, _, path = config.dataset.partition(":")
    if kind != "list" or config.heads is not None:
        return "classes"
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            cells = next(csv.reader(file), [])
    except (OSError, csv.Error):
        return "classes"
    return "values" if value_columns([cell.strip().lower() for cell in cells]) else "classes"


def list_pictures(dataset: str, heads: Sequence[str] | None = None) -> Listing:
    """List the pictures of folder:PATH or list:FILE.csv; heads: see `list_csv`.

    Raises:
        DataError: see `list_folder` and `list_csv`.
    """
    kind, _, path = dataset.partition(":")
    return list_folder(path) if kind == "folder" else list_csv(path, heads)


def _digest(found: Sequence[Found]) -> str:
    """Return a digest of names, labels and splits, whatever their order."""
    total = hashlib.blake2b(digest_size=16)
    for line in sorted(f"{one.name}\0{one.target}\0{one.split}\0" for one in found):
        total.update(line.encode("utf-8", "surrogateescape"))
    return total.hexdigest()
