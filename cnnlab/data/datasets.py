"""The data sets as arrays: by name from files, or from arrays at hand; and their validation split.

images: uint8 [n, height, width, channels], range [0, 255].
labels: int32 [n], range [0, num_classes).
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.aligned import aligned_empty
from cnnlab.base.errors import DataError, UsageError
from cnnlab.data.files import formats, layouts, sources
from cnnlab.data.files.download import Progress
from cnnlab.data.shapes import draw_shapes
from cnnlab.data.specs import DATASETS, LABEL_MODES, DatasetSpec, dataset_spec

__all__ = [
    "DATASETS",
    "LABEL_MODES",
    "Dataset",
    "DatasetSpec",
    "Split",
    "dataset_from_arrays",
    "dataset_spec",
    "load_dataset",
    "split_validation",
    "validation_size",
]

_SPLIT_KEY: Final = 0x5641_4C49  # keeps the split's random bits apart from other uses of a seed


class Split(NamedTuple):
    """Images uint8 [n, height, width, channels] and their labels int32 [n].

    weights: float32 [n], each example's weight in the training loss; None where all are equal.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32] | None = None


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set in memory; `spec` has the sizes that the splits have."""

    spec: DatasetSpec
    train: Split
    test: Split


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
        data_dir: the folder of the files, or above it; see `layouts` for where they are looked for.
        label_mode: "fine", or for cifar100 "coarse".
        verify: whether the files must be the official ones, by size and SHA-256; if not, any number
            of records will do, and the spec says how many there are.
        fetch: whether to fetch the files into `data_dir` if there are none.
        progress: of a fetch, as `sources.fetch_dataset` takes it.

    Returns:
        the data set, in the order of the official files.

    Raises:
        UsageError: no such data set or label mode.
        DataError: a file is missing, damaged or not the official one, or could not be fetched.
    """
    spec = dataset_spec(name, label_mode)
    if name == "shapes":
        train, test = (
            Split(*draw_shapes(n, stream=i)) for i, n in enumerate((spec.num_train, spec.num_test))
        )
        return Dataset(spec, train, test)
    parts = layouts.find_parts(name, data_dir)
    if not parts and fetch:
        sources.fetch_dataset(name, data_dir, progress)
        parts = layouts.find_parts(name, data_dir)
    if not parts:
        raise DataError(
            f"no files of {name} in {data_dir}: name their folder with --data_dir, or fetch them "
            f"with python -m cnnlab.data fetch {name}, or do without any with --dataset=shapes"
        )
    # CIFAR-100's records begin with the coarse, then the fine label.
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
                    f"{part}: {len(array)} labels for {len(images)} images; get both files again"
                )
            target.add(images, array)
            images = None
    train, test = joined[False].split(), joined[True].split()
    spec = dataclasses.replace(spec, num_train=len(train.labels), num_test=len(test.labels))
    return Dataset(spec, train, test)


class _Joined:
    """Joins arrays into one that is made beforehand, so that the data is in memory once."""

    def __init__(self, spec: DatasetSpec, is_test: bool) -> None:
        room = spec.num_test if is_test else spec.num_train
        # This takes memory only as it is written.
        # Those to train on are copied into a variable, and need no place of the other kind.
        make_empty = aligned_empty if is_test else np.empty
        self._images = make_empty((room, *spec.image_shape), np.uint8)
        self._labels = np.empty(room, np.int32)
        self._filled = 0

    def add(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> None:
        end = self._filled + len(labels)
        if end > len(self._labels):  # not the official data
            self._images = np.concatenate([self._images[: self._filled], images])
            self._labels = np.concatenate([self._labels[: self._filled], labels.astype(np.int32)])
        else:
            for channel in range(images.shape[-1]):  # 4 times as fast as all of them at once
                self._images[self._filled : end, ..., channel] = images[..., channel]
            self._labels[self._filled : end] = labels
        self._filled = end

    def split(self) -> Split:
        return Split(self._images[: self._filled], self._labels[: self._filled])


def dataset_from_arrays(
    train: tuple[npt.ArrayLike, ...],
    test: tuple[npt.ArrayLike, npt.ArrayLike],
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
) -> Dataset:
    """Make a data set of arrays at hand, such as `tf.keras.datasets.cifar10.load_data()` gives.

    Args:
        train, test: (images, labels). images: uint8 [n, height, width, channels] with 1, 3 or 4
            channels, or [n, height, width]. labels: integers [n] or [n, 1], from 0. train may
            have weights as a third: numbers >= 0 [n], each example's weight in the loss.
        class_names: one for each label; by default "0", "1", ... up to the largest label.
        name: what reports call it.

    Returns:
        the data set, sharing memory with `train` and `test` where it can.

    Raises:
        DataError: other types or shapes, nothing in a split, or labels out of range.
    """
    if len(train) not in (2, 3) or len(test) != 2:
        raise DataError(
            f"the data has {len(train)} arrays to train and {len(test)} to test on: expected "
            "(images, labels) each, or (images, labels, weights) to train on"
        )
    splits = {
        which: check_split(which, *arrays) for which, arrays in (("train", train), ("test", test))
    }
    shapes = [split.images.shape[1:] for split in splits.values()]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"train images are {shapes[0]} but test images {shapes[1]}: make them the same shape"
        )
    if class_names is None:
        largest = max(int(split.labels.max()) for split in splits.values())
        class_names = [str(label) for label in range(largest + 1)]
    for which, split in splits.items():
        formats.check_labels(split.labels, f"{which} labels", len(class_names))
    height, width, channels = shapes[0]
    sizes = (len(split.labels) for split in splits.values())
    spec = DatasetSpec(name, (height, width, channels), tuple(map(str, class_names)), *sizes)
    return Dataset(spec, splits["train"], splits["test"])


def check_split(
    which: str,
    images_like: npt.ArrayLike,
    labels_like: npt.ArrayLike,
    weights_like: npt.ArrayLike | None = None,
) -> Split:
    """The arrays of one split as `dataset_from_arrays` takes them; `which` is its name in errors.

    Raises:
        DataError: other types or shapes, or nothing in it.
    """
    images: npt.NDArray[Any] = np.asarray(images_like)
    labels: npt.NDArray[Any] = np.asarray(labels_like)
    if images.dtype != np.uint8:
        hint = "convert them with astype('uint8')"
        if images.dtype.kind == "f":
            hint = "if they are in 0..1, convert them with (images * 255).round().astype('uint8')"
        raise DataError(f"{which} images are {images.dtype}, expected uint8 in 0..255: {hint}")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4) or 0 in images.shape[1:]:
        raise DataError(
            f"{which} images have shape {images.shape}, expected [n, height, width] or "
            f"[n, height, width, channels] with 1, 3 or 4 channels"
        )
    if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras gives those of CIFAR
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{which} labels are {labels.dtype} of shape {labels.shape}, expected integers [n]: "
            f"convert one-hot labels with argmax(axis=1)"
        )
    if len(images) != len(labels) or not len(images):
        raise DataError(
            f"{which} has {len(images)} images and {len(labels)} labels: "
            f"expected as many of both, and at least 1"
        )
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        formats.check_labels(labels, f"{which} labels", np.iinfo(np.int32).max)
    weights = None
    if weights_like is not None:
        weights = np.asarray(weights_like, np.float32)
        if weights.shape != labels.shape or not np.isfinite(weights).all() or weights.min() < 0:
            raise DataError(
                f"{which} weights are of shape {weights.shape}, expected finite numbers >= 0 of "
                f"shape {labels.shape}"
            )
    return Split(np.ascontiguousarray(images), np.ascontiguousarray(labels, np.int32), weights)


def validation_size(n: int, fraction: float) -> int:
    """Return how many of `n` images a validation split of `fraction` takes: round(n * fraction).

    Raises:
        UsageError: `fraction` is not in [0, 1), or nothing would be left to train on.
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"validation_split must be at least 0 and below 1, found {fraction}")
    size = round(n * fraction)
    if n and size == n:
        raise UsageError(f"validation_split={fraction} of {n} images leaves none to train on")
    return size


def split_validation(
    split: Split, fraction: float, seed: int, num_classes: int
) -> tuple[Split, Split]:
    """Set a validation part aside, with as near as possible the same fraction of every class.

    Each class gives floor(its size * total / n) images, and those with the largest remainders
    give one more, until the total is validation_size(n, fraction). Which images these are is a
    function of the labels and `seed` alone.

    Args:
        split: to take from.
        fraction: in [0, 1); 0 takes nothing.
        seed: any integer.
        num_classes: > the largest label.

    Returns:
        (train, validation), each in the order of `split`; with fraction 0, `split` itself and an
        empty one.

    Raises:
        UsageError: as `validation_size`.
    """
    n = len(split.labels)
    size = validation_size(n, fraction)
    if size == 0:
        return split, Split(split.images[:0], split.labels[:0])
    counts = np.bincount(split.labels, minlength=num_classes)
    quotas, remainders = np.divmod(counts * size, n)  # integers: no rounding to worry about
    quotas[np.argsort(-remainders, kind="stable")[: size - quotas.sum()]] += 1
    # Raw bits: what NumPy's Generator makes of them may change from one release to the next.
    key = np.array([seed % 2**64, _SPLIT_KEY], np.uint64)
    ranks = np.random.Philox(key=key).random_raw(n)
    is_validation = np.zeros(n, bool)
    for label, quota in enumerate(quotas):
        members = np.flatnonzero(split.labels == label)
        is_validation[members[np.argsort(ranks[members], kind="stable")[:quota]]] = True
    weights = None if split.weights is None else split.weights[~is_validation]
    return (
        Split(split.images[~is_validation], split.labels[~is_validation], weights),
        Split(split.images[is_validation], split.labels[is_validation]),
    )
