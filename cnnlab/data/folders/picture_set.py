"""The pictures of folder:PATH and list:FILE.csv: which there are, and their decoded images."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError, UsageError
from cnnlab.base.printing import is_quiet, print_lines
from cnnlab.config.config import Config
from cnnlab.data.datasets import Dataset, Split
from cnnlab.data.folders.class_folders import list_folder
from cnnlab.data.folders.csv_list import list_csv
from cnnlab.data.folders.dividing import divide
from cnnlab.data.folders.found import TEST, TRAIN, VALIDATION, Found, Listing
from cnnlab.data.image_files.borders import background_of
from cnnlab.data.image_files.headers import read_header
from cnnlab.data.image_files.images import read_image, unwarned
from cnnlab.data.image_files.resizing import Resizing
from cnnlab.data.specs import DatasetSpec

_CHANNELS: Final = {"grayscale": 1, "rgb": 3, "rgba": 4}
_BAR_AFTER_SECS: Final = 2
_GIB: Final = 2**30


class Pictures:
    """The pictures of a data set, listed and divided into splits at once, decoded when asked for.

    Attributes:
        listing: what is in the folder, or in the list.
        found: all pictures with their splits, sorted by name. Their index is their row.
        spec: the facts about the data set. With `--bad_files=skip` its sizes are only known, and
            `skipped` filled, after `load_all`.
    """

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
        self._resizing = Resizing.of(config)
        self.listing = list_pictures(config.dataset)
        is_decided = all(one.split for one in self.listing.found)
        self.found = divide(
            self.listing.found, config.test_split, config.validation_split, config.group
        )
        self._bad: dict[int, DataError] = {}
        self._labels = {name: i for i, name in enumerate(sorted({o.label for o in self.found}))}
        size = size or config.image_size or self._common_size()
        counts = Counter(one.split for one in self.found)
        self.spec = DatasetSpec(
            config.dataset,
            (size[0], size[1], _CHANNELS[config.color_mode]),
            tuple(self._labels),
            counts[TRAIN],
            counts[TEST],
            divided=None if is_decided and not config.validation_split else _digest(self.found),
        )

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation set beside the test set."""
        return any(one.split == VALIDATION for one in self.found)

    def decode(self, row: int) -> npt.NDArray[np.uint8]:
        """Return the image of a row, uint8 [height, width, channels], inside an `unwarned` block.

        Raises:
            DataError: the file is missing or cannot be read.
        """
        return read_image(self.found[row].path, self.spec.image_shape, self._resizing)

    def rows_of(self, split: str) -> list[int]:
        """Return the rows of a split, without those of pictures that cannot be read."""
        return [
            row for row, one in enumerate(self.found) if one.split == split and row not in self._bad
        ]

    def load(self, split: str) -> Split:
        """Decode the pictures of a split with several threads.

        Raises:
            DataError: a picture cannot be read, unless `--bad_files=skip` leaves it out; or then no
                picture of a class is left for training.
        """
        rows = self.rows_of(split)
        images = np.empty((len(rows), *self.spec.image_shape), np.uint8)

        def fill(place: int) -> DataError | None:
            try:
                images[place] = self.decode(rows[place])
            except DataError as error:
                return error
            return None

        bad: dict[int, DataError] = {}
        pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="pictures")
        try:
            with unwarned():
                errors = pool.map(fill, range(len(rows)))
                for place, error in enumerate(_shown(errors, len(rows), split)):
                    if error is None:
                        continue
                    self._refuse_if_asked(error)
                    bad[place] = error
        finally:
            pool.shutdown(cancel_futures=True)
        self._bad |= {rows[place]: error for place, error in bad.items()}
        kept = [place for place in range(len(rows)) if place not in bad]
        labels = np.array([self._labels[self.found[rows[i]].label] for i in kept], np.int32)
        if len(set(labels.tolist())) < len(self._labels) and split == TRAIN:
            name = next(name for name, i in self._labels.items() if i not in labels)
            raise DataError(f"no picture of the class {name} can be read; replace the files")
        if not kept:
            raise DataError(f"no picture of the {split} set can be read; replace the files")
        return Split(images if not bad else images[kept], labels)

    def load_all(self) -> Dataset:
        """Decode all pictures, and complete `spec`.

        Raises:
            DataError: see `load`.
        """
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
        return Dataset(self.spec, train, test, validation)

    def say_what_is_left_out(self) -> None:
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
                    self._refuse_if_asked(error)
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

    def _refuse_if_asked(self, error: DataError) -> None:
        """Raise the error of a picture, unless such pictures are to be skipped."""
        if self._config.bad_files == "error":
            raise DataError(
                f"{error}; replace or remove it, or leave such files out with --bad_files=skip"
            )

    def _check_memory(self) -> None:
        # TensorFlow holds a copy of the training set while NumPy still has it.
        counts = Counter(one.split for one in self.found)
        each = int(np.prod(self.spec.image_shape))
        needed = each * (2 * counts[TRAIN] + counts[TEST] + counts[VALIDATION])
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if needed > there:
            shape = " x ".join(map(str, self.spec.image_shape))
            raise DataError(
                f"{len(self.found)} pictures of {shape} need {needed / _GIB:.1f} GiB, but this "
                f"machine has {there / _GIB:.1f} GiB; choose a smaller --image_size"
            )


def list_pictures(dataset: str) -> Listing:
    """List the pictures of folder:PATH or list:FILE.csv.

    Raises:
        DataError: see `list_folder` and `list_csv`.
    """
    kind, _, path = dataset.partition(":")
    return list_folder(path) if kind == "folder" else list_csv(path)


def _digest(found: Sequence[Found]) -> str:
    """Return a digest of names, labels and splits, whatever their order."""
    total = hashlib.blake2b(digest_size=16)
    for line in sorted(f"{one.name}\0{one.label}\0{one.split}\0" for one in found):
        total.update(line.encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _shown(results: Iterable[Any], total: int, split: str) -> Any:
    """Return the results with a progress bar, which appears only if reading takes long."""
    from tqdm import tqdm

    return tqdm(
        results,
        f"reading {split}",
        total,
        leave=False,
        delay=_BAR_AFTER_SECS,
        disable=True if is_quiet() else None,
        unit=" pictures",
    )
