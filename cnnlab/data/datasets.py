"""Data sets in memory: loaded by name, and their validation split.

images: uint8 [n, height, width, channels], range [0, 255]; or float32 with a stated range.
labels: int32 [n], range [0, num_classes); or float32 [n, k], see `cnnlab.data.array_labels`.
"""

import dataclasses
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.aligned import aligned_empty
from cnnlab.base.errors import DataError, UsageError
from cnnlab.data.distorted import distort
from cnnlab.data.files import formats, layouts, sources
from cnnlab.data.files.download import Progress
from cnnlab.data.shapes import draw_shapes
from cnnlab.data.specs import DATASETS, LABEL_MODES, MADE_FROM, DatasetSpec, dataset_spec

__all__ = [
    "DATASETS",
    "LABEL_MODES",
    "Dataset",
    "DatasetSpec",
    "Split",
    "dataset_spec",
    "load_dataset",
    "split_validation",
    "validation_size",
]

_SPLIT_KEY: Final = 0x5641_4C49  # separates the split's random bits from other uses of the seed


class Split(NamedTuple):
    """Images and their labels, as the spec of their data set says.

    images: uint8 [n, height, width, channels]; float32 if the spec has an image_range. An array, or
        `RowImages` if they are not in memory.
    labels: int32 [n], classes; float32 [n, k] if the spec's targets are labels, values or heads.
        Those of a stream are unknown.
    weights: float32 [n], the weight of each example in the training loss; None if all are equal.
    """

    images: Any
    labels: Any
    weights: npt.NDArray[np.float32] | None = None


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set in memory; the sizes in `spec` are those of the splits.

    validation: the validation set, if it is not split off `train`.
    """

    spec: DatasetSpec
    train: Split
    test: Split
    validation: Split | None = None


def load_dataset(
    name: str,
    data_dir: str | Path,
    *,
    label_mode: str = "fine",
    verify: bool = True,
    fetch: bool = True,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set by name, from files in `data_dir` in any official layout.

    Args:
        name: one of DATASETS.
        data_dir: the folder of the files or a folder above it; `layouts` lists where it looks.
        label_mode: "fine", or for cifar100 "coarse".
        verify: whether the files must be the official ones, by size and SHA-256. If False, any
            number of records is accepted, and the spec has the actual number.
        fetch: whether to fetch the files into `data_dir` if none are there.
        progress: called during a fetch; see `sources.fetch_dataset`.

    Returns:
        the data set, in the order of the official files.

    Raises:
        UsageError: unknown data set or label mode.
        DataError: a file is missing, damaged, not the official one, or cannot be fetched.
    """
    spec = dataset_spec(name, label_mode)
    if name == "shapes":
        train, test = (
            Split(*draw_shapes(n, stream=i)) for i, n in enumerate((spec.num_train, spec.num_test))
        )
        return Dataset(spec, train, test)
    if name in MADE_FROM:
        made_from = load_dataset(
            MADE_FROM[name], data_dir, verify=verify, fetch=fetch, progress=progress
        )
        train, test = (
            split._replace(images=distort(split.images, stream=i))
            for i, split in enumerate((made_from.train, made_from.test))
        )
        return dataclasses.replace(
            made_from, spec=dataclasses.replace(made_from.spec, name=name), train=train, test=test
        )
    parts = layouts.find_parts(name, data_dir)
    if not parts and fetch:
        sources.fetch_dataset(name, data_dir, progress)
        parts = layouts.find_parts(name, data_dir)
    if not parts:
        raise DataError(
            f"no files of {name} in {data_dir}; set --data_dir to their folder, or fetch them with "
            f"python -m cnnlab.data fetch {name} --data_dir={data_dir}, or use --dataset=shapes"
        )
    # A record of CIFAR-100 begins with the coarse label, followed by the fine label.
    label_column = 1 if name == "cifar100" and label_mode == "fine" else 0
    joined = {is_test: _Joined(spec, is_test) for is_test in (False, True)}
    images = None
    for part, data in layouts.read_parts(parts):
        array = layouts.parse_part(name, part, data, verify=verify)
        target = joined[part.official.is_test]
        if not part.official.is_idx:
            target.add(formats.cifar_images(array), array[:, label_column])
        elif images is None:
            images = array[..., None]  # [n, 28, 28, 1]
        else:
            if len(images) != len(array):
                raise DataError(
                    f"{part}: {len(array)} labels for {len(images)} images; replace both files"
                )
            target.add(images, array)
            images = None
    train, test = joined[False].split(), joined[True].split()
    spec = dataclasses.replace(spec, num_train=len(train.labels), num_test=len(test.labels))
    return Dataset(spec, train, test)


class _Joined:
    """Joins arrays into one that is allocated in advance, so the data is in memory only once."""

    def __init__(self, spec: DatasetSpec, is_test: bool) -> None:
        room = spec.num_test if is_test else spec.num_train
        # Training images are copied into a variable. Only test images gain from alignment.
        make_empty = aligned_empty if is_test else np.empty
        self._images = make_empty((room, *spec.image_shape), np.uint8)
        self._labels = np.empty(room, np.int32)
        self._filled = 0

    def add(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> None:
        end = self._filled + len(labels)
        if end > len(self._labels):  # more than the official files hold
            self._images = np.concatenate([self._images[: self._filled], images])
            self._labels = np.concatenate([self._labels[: self._filled], labels.astype(np.int32)])
        else:
            for channel in range(images.shape[-1]):  # faster than one assignment of all channels
                self._images[self._filled : end, ..., channel] = images[..., channel]
            self._labels[self._filled : end] = labels
        self._filled = end

    def split(self) -> Split:
        return Split(self._images[: self._filled], self._labels[: self._filled])


def part_of(split: Split, limit: int | None, turn: int = 0, *, is_sorted: bool = False) -> Split:
    """Return at most `limit` images of a split, without their weights; None: all.

    Args:
        split: n images.
        limit: number of images (>= 1).
        turn: 0: the first images; 1: the next ones, and so on. After the last image follows the
            first one.
        is_sorted: whether the images are sorted by class. The first turn then takes every k-th
            image, the next one the images after these, and so on.
    """
    count = len(split.labels)
    if limit is None or limit >= count:
        return split
    rows: Any = slice(limit)
    if turn:
        rows = (np.arange(limit) + turn * limit) % count
    if is_sorted:
        rows = _spread(count, limit)[rows]
    return Split(split.images[rows], split.labels[rows])


def _spread(count: int, parts: int) -> npt.NDArray[np.int64]:
    """Return the order of sorted images that takes one of each part in turn, int64 [count].

    The parts have count / parts neighbours, give or take one: first come the first images of all
    parts, then the second ones, and so on.
    """
    starts = np.arange(parts) * count // parts
    part = np.repeat(np.arange(parts), np.diff(starts, append=count))
    return np.lexsort((part, np.arange(count) - starts[part]))


def validation_size(n: int, fraction: float) -> int:
    """Return the size of a validation split of `n` images: round(n * fraction).

    Raises:
        UsageError: `fraction` is not in [0, 1), or no image would be left for training.
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"validation_split must be at least 0 and below 1, found {fraction}")
    size = round(n * fraction)
    if n and size == n:
        raise UsageError(
            f"validation_split={fraction} of {n} images leaves none to train on; make it smaller"
        )
    return size


def split_validation(
    split: Split, fraction: float, seed: int, num_classes: int
) -> tuple[Split, Split]:
    """Split off a validation set that has nearly the same fraction of every class.

    Labels that are not classes count as one class.

    Each class gives floor(its size * total / n) images. The classes with the largest remainders
    give one more, until the total is validation_size(n, fraction). Which images are chosen depends
    only on the labels and `seed`.

    Args:
        split: the images to divide.
        fraction: in [0, 1).
        seed: any integer.
        num_classes: greater than the largest label.

    Returns:
        (train, validation), both in the order of `split`. With fraction 0 they are `split` itself
        and an empty split.

    Raises:
        UsageError: see `validation_size`.
    """
    n = len(split.labels)
    size = validation_size(n, fraction)
    if size == 0:
        return split, Split(split.images[:0], split.labels[:0])
    classes = split.labels if split.labels.ndim == 1 else np.zeros(n, np.int32)
    counts = np.bincount(classes, minlength=num_classes)
    quotas, remainders = np.divmod(counts * size, n)  # integers, so exact
    quotas[np.argsort(-remainders, kind="stable")[: size - quotas.sum()]] += 1
    # Raw bits are the same in every NumPy release; the numbers that a Generator makes may change.
    key = np.array([seed % 2**64, _SPLIT_KEY], np.uint64)
    ranks = np.random.Philox(key=key).random_raw(n)
    is_validation = np.zeros(n, bool)
    for label, quota in enumerate(quotas):
        members = np.flatnonzero(classes == label)
        is_validation[members[np.argsort(ranks[members], kind="stable")[:quota]]] = True
    weights = None if split.weights is None else split.weights[~is_validation]
    return (
        Split(split.images[~is_validation], split.labels[~is_validation], weights),
        Split(split.images[is_validation], split.labels[is_validation]),
    )
