"""The data sets of TensorFlow 1's own helpers, read from cnnlab's verified files.

`read_data_sets` and `DataSet` do what `tensorflow.examples.tutorials.mnist.input_data` did: the
same arrays, ranges and batches, whose order follows NumPy's global generator, as it did there.
Keras's `load_data` functions return its uint8 arrays.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from cnnlab.base.errors import DataError
from cnnlab.data.datasets import Dataset, load_dataset
from cnnlab.data.files import layouts
from cnnlab.run_tf1 import noted
from cnnlab.run_tf1.noted import program_line

KERAS_NAMES: Final = ("mnist", "fashion_mnist", "cifar10", "cifar100")
_data_dir = "./data"


def set_data_dir(folder: str) -> None:
    """Set the folder of cnnlab's data files."""
    global _data_dir
    _data_dir = folder


def load(name: str, places: tuple[str, ...] = (), label_mode: str = "fine") -> Dataset:
    """Return a data set from a folder that the program names, or else from the data folder.

    What is in the program's folder may be any data of the same form, as in TensorFlow 1.

    Raises:
        DataError: no files of it are there, and they cannot be fetched.
    """
    noted.datasets[name] = None
    for place in places:
        if layouts.find_parts(name, place):
            return load_dataset(name, place, label_mode=label_mode, verify=False, fetch=False)
    noted.stands_in(f"the data set {name}", "cnnlab's verified files")
    try:
        return _load(name, _data_dir, label_mode)
    except DataError as error:
        raise DataError(
            f"{program_line()}: {error}; to fetch them: cnnlab data fetch --dataset={name} "
            f"--data_dir={_data_dir}"
        ) from None


@functools.cache
def _load(name: str, folder: str, label_mode: str) -> Dataset:
    return load_dataset(name, folder, label_mode=label_mode)


class Datasets(NamedTuple):
    """What `read_data_sets` returns."""

    train: DataSet
    validation: DataSet
    test: DataSet


class DataSet:
    """Images and labels, and batches of them; the class of TensorFlow 1's MNIST tutorial.

    Args:
        images: uint8 [n, 28, 28, 1].
        labels: uint8 [n], or float64 [n, 10] with one_hot.
        fake_data, one_hot: as there: 10,000 examples that are all the same.
        dtype: float32 scales images to [0, 1]; uint8 keeps them.
        reshape: whether images become [n, 784].
        seed: of NumPy's global generator, as in TensorFlow 1.4 and later; None leaves it.
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        fake_data: bool = False,
        one_hot: bool = False,
        dtype: Any = np.float32,
        reshape: bool = True,
        seed: int | None = None,
    ) -> None:
        self.one_hot = one_hot
        kind = np.dtype(getattr(dtype, "as_numpy_dtype", dtype))
        if kind not in (np.dtype(np.uint8), np.dtype(np.float32)):
            raise TypeError(f"Invalid image dtype {kind!r}, expected uint8 or float32")
        if seed is not None:
            np.random.seed(seed)
        if fake_data:
            self._num_examples = 10000
        else:
            if len(images) != len(labels):
                raise AssertionError(f"images.shape: {images.shape} labels.shape: {labels.shape}")
            self._num_examples = len(images)
            if reshape:
                images = images.reshape(len(images), math.prod(images.shape[1:]))
            if kind == np.float32:
                images = np.multiply(images.astype(np.float32), 1.0 / 255.0, dtype=np.float32)
        self._images, self._labels, self._fake = images, labels, fake_data
        self._epochs_completed = 0
        self._index_in_epoch = 0

    @property
    def images(self) -> Any:
        """float32 in [0, 1] or uint8."""
        return self._images

    @property
    def labels(self) -> Any:
        """uint8 [n], or float64 [n, 10]."""
        return self._labels

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return self._num_examples

    @property
    def epochs_completed(self) -> int:
        """Number of times that all examples were returned."""
        return self._epochs_completed

    def next_batch(
        self, batch_size: int, fake_data: bool = False, shuffle: bool = True
    ) -> tuple[Any, Any]:
        """Return the next images and labels, in an order that is drawn for each epoch.

        A batch over the end of an epoch has the rest of it, and the start of the next.
        """
        if fake_data:
            label: Any = [1] + [0] * 9 if self.one_hot else 0
            return [[1] * 784 for _ in range(batch_size)], [label for _ in range(batch_size)]
        start = self._index_in_epoch
        if self._epochs_completed == 0 and start == 0 and shuffle:
            self._shuffle()
        if start + batch_size <= self._num_examples:
            self._index_in_epoch += batch_size
            end = self._index_in_epoch
            return self._images[start:end], self._labels[start:end]
        self._epochs_completed += 1
        num_rest = self._num_examples - start
        images, labels = self._images[start:], self._labels[start:]
        if shuffle:
            self._shuffle()
        self._index_in_epoch = end = batch_size - num_rest
        return (
            np.concatenate((images, self._images[:end]), axis=0),
            np.concatenate((labels, self._labels[:end]), axis=0),
        )

    def _shuffle(self) -> None:
        order = np.arange(self._num_examples)
        np.random.shuffle(order)
        self._images, self._labels = self._images[order], self._labels[order]


def dense_to_one_hot(labels_dense: Any, num_classes: int) -> Any:
    """Return labels as float64 [n, num_classes]."""
    return np.eye(num_classes)[np.asarray(labels_dense).ravel()]


def read_data_sets(
    train_dir: str,
    fake_data: bool = False,
    one_hot: bool = False,
    dtype: Any = np.float32,
    reshape: bool = True,
    validation_size: int = 5000,
    seed: int | None = None,
    source_url: str = "",
) -> Datasets:
    """Return MNIST, or Fashion-MNIST if the folder or the address names it, in three parts."""
    if fake_data:
        made = [DataSet([], [], True, one_hot, dtype, seed=seed) for _ in range(3)]
        return Datasets(*made)
    is_fashion = "fashion" in f"{train_dir} {source_url}".lower()
    data = load("fashion_mnist" if is_fashion else "mnist", (str(Path(train_dir).expanduser()),))
    if not 0 <= validation_size <= len(data.train.images):
        raise ValueError(
            f"Validation size should be between 0 and {len(data.train.images)}. "
            f"Received: {validation_size}."
        )

    def labels_of(labels: Any) -> Any:
        return dense_to_one_hot(labels, 10) if one_hot else labels.astype(np.uint8)

    images, labels = data.train.images, labels_of(data.train.labels)
    parts = (
        (images[validation_size:], labels[validation_size:]),
        (images[:validation_size], labels[:validation_size]),
        (data.test.images, labels_of(data.test.labels)),
    )
    return Datasets(
        *(
            DataSet(*part, one_hot=one_hot, dtype=dtype, reshape=reshape, seed=seed)
            for part in parts
        )
    )


def load_mnist(train_dir: str = "MNIST-data") -> Datasets:
    """Return MNIST with labels of classes; `tf.contrib.learn.datasets.mnist.load_mnist`."""
    return read_data_sets(train_dir)


def keras_load_data(name: str, path: str = "", label_mode: str = "fine") -> Any:
    """Return ((images, labels), (images, labels)) as Keras's `load_data` of a data set does.

    images: uint8 [n, 28, 28] or [n, 32, 32, 3].
    labels: uint8 [n], or for CIFAR [n, 1].
    """
    data = load(name, label_mode=label_mode)
    pairs = []
    for split in (data.train, data.test):
        images, labels = split.images.copy(), split.labels.astype(np.uint8)
        if images.shape[-1] == 1:
            images = images[..., 0]
        else:
            labels = labels[:, None]
        pairs.append((images, labels))
    return tuple(pairs)


def data_dir() -> str:
    """Return the folder of cnnlab's data files."""
    return _data_dir
