"""Data sets made from arrays: what is checked of a file is checked of an array too."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.data.datasets import Dataset, Split
from cnnlab.data.files.formats import check_labels
from cnnlab.data.specs import DATASETS, DatasetSpec

Pair = tuple[npt.ArrayLike, npt.ArrayLike]  # (images, labels)
Pairs = tuple[tuple[npt.ArrayLike, ...], Pair] | tuple[tuple[npt.ArrayLike, ...], Pair, Pair]

_NARROWEST_BYTES = 4  # narrower integers than these, but uint8, have another white than 255


def dataset_of(data: Dataset | Pairs) -> Dataset:
    """Return the data that a caller of `Train` gave, checked.

    Args:
        data: a Dataset, or the pairs (train, test) or (train, validation, test).

    Raises:
        DataError: it is something else; or as for `dataset_from_arrays`.
    """
    if isinstance(data, Dataset):
        return _checked(data)
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise DataError(
            f"data is {_in_words(data)}, expected the pairs (train, test) or (train, validation, "
            "test), each (images, labels)"
        )
    return dataset_from_arrays(data[0], data[-1], validation=data[1] if len(data) == 3 else None)


def dataset_from_arrays(
    train: tuple[npt.ArrayLike, ...],
    test: Pair,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    validation: Pair | None = None,
) -> Dataset:
    """Make a data set from arrays, such as those of `tf.keras.datasets.cifar10.load_data()`.

    Args:
        train, test: (images, labels). Images are uint8 [n, height, width, channels] with 1, 3 or 4
            channels, or [n, height, width]. Integers of 32 or 64 bits are accepted, too, if all
            are in 0..255. Labels are integers [n] or [n, 1], from 0. A third array of train is the
            weight of each example in the loss: numbers >= 0 [n].
        class_names: one name per label; default: "0", "1", ... up to the largest label.
        name: the name of the data set in reports, not that of an official data set.
        validation: (images, labels) of the validation set; default: none.

    Returns:
        the data set. It shares memory with the arrays where possible.

    Raises:
        DataError: wrong types, shapes or ranges, an empty split, labels out of range, or the name
            of an official data set.
    """
    given = {"train": train, "validation": validation, "test": test}
    splits = {which: check_split(which, pair) for which, pair in given.items() if pair is not None}
    if class_names is None:
        largest = max(int(split.labels.max()) for split in splits.values())
        class_names = [str(label) for label in range(largest + 1)]
    height, width, channels = splits["train"].images.shape[1:]
    spec = DatasetSpec(name, (height, width, channels), tuple(map(str, class_names)), 0, 0)
    return _checked(Dataset(spec, splits["train"], splits["test"], splits.get("validation")))


def _checked(data: Dataset) -> Dataset:
    """Return a data set with its splits checked, and their sizes in its spec."""
    name = data.spec.name
    if name in DATASETS:  # commands that read a run's config.yaml would load the official files
        raise DataError(
            f"data has the name of the official data set {name}: give it another name, or, if it "
            f"is that data set, leave data out and use dataset='{name}'"
        )
    train, test = (
        check_fitting(which, split, data.spec)
        for which, split in (("train", data.train), ("test", data.test))
    )
    validation = data.validation
    if validation is not None:
        validation = check_fitting("validation", validation, data.spec)
    spec = dataclasses.replace(data.spec, num_train=len(train.labels), num_test=len(test.labels))
    return Dataset(spec, train, test, validation)


def check_fitting(which: str, pair: Pair | Split, spec: DatasetSpec) -> Split:
    """Return a pair as a Split that fits the image shape and the classes of a data set.

    Raises:
        DataError: as for `check_split`; or the shape is another, or a label is out of range.
    """
    split = check_split(which, pair)
    _check_shape(which, split.images, spec)
    check_labels(split.labels, f"{which} labels", spec.num_classes, "number the classes from 0")
    return split


def check_fitting_images(
    which: str, images: npt.ArrayLike, spec: DatasetSpec
) -> npt.NDArray[np.uint8]:
    """Return images of any number, even 0, that fit the image shape of a data set.

    Raises:
        DataError: they have a wrong type, range or shape.
    """
    pixels = _pixels(which, images)
    _check_shape(which, pixels, spec)
    return pixels


def check_split(which: str, pair: tuple[npt.ArrayLike, ...] | Split) -> Split:
    """Return arrays as a Split; errors call it `which`.

    Args:
        which: "train" may have a third array, the weights.
        pair: (images, labels); see `dataset_from_arrays`.

    Raises:
        DataError: wrong number of arrays, wrong types, shapes or ranges, or an empty split.
    """
    sizes = (2, 3) if which == "train" or isinstance(pair, Split) else (2,)
    if not isinstance(pair, (tuple, list)) or len(pair) not in sizes:
        raise DataError(
            f"the {which} data is {_in_words(pair)}, expected (images, labels)"
            + ", or (images, labels, weights)" * (3 in sizes)
        )
    images, labels = _pixels(which, pair[0]), _labels(which, pair[1])
    if len(images) != len(labels) or not len(images):
        raise DataError(
            f"{which} has {len(images)} images and {len(labels)} labels: "
            f"expected equal numbers, at least 1"
        )
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        largest = np.iinfo(np.int32).max
        check_labels(labels, f"{which} labels", largest, "number the classes from 0")
    weights = _weights(which, pair[2], len(labels)) if len(pair) == 3 else None
    return Split(images, np.ascontiguousarray(labels, np.int32), weights)


def _pixels(which: str, images_like: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Return images as uint8 [n, height, width, channels]."""
    images = _array(f"{which} images", images_like)
    is_wide = images.dtype.kind in "iu" and images.dtype.itemsize >= _NARROWEST_BYTES
    if is_wide and images.size and images.min() >= 0 and images.max() <= 255:
        images = images.astype(np.uint8)
    if images.dtype != np.uint8:
        raise DataError(
            f"{which} images are {images.dtype}, expected uint8 in 0..255: {_cure(images)}"
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4) or 0 in images.shape[1:]:
        raise DataError(
            f"{which} images have shape {images.shape}, expected [n, height, width] or "
            f"[n, height, width, channels] with 1, 3 or 4 channels"
        )
    return np.ascontiguousarray(images)


def _cure(images: npt.NDArray[Any]) -> str:
    """Return how to convert images, of a type that is not accepted, without losing anything."""
    if images.dtype.kind == "b":
        return "if True is white, convert them with images.astype('uint8') * 255"
    if images.dtype.kind not in "iuf" or not images.size:
        return "make them an array of such numbers"
    low, high = images.min(), images.max()
    if not np.isfinite([low, high]).all():
        return "some are not finite; repair them first"
    if low < 0:
        return f"they are in {low:g}..{high:g}; undo what made them negative" + (
            ", as in ((images + 1) * 127.5).round().astype('uint8') if they are in -1..1"
            * bool(low >= -1 and high <= 1)
        )
    if images.dtype.kind == "f" and high <= 255:
        factor, whole = ("(images * 255)", 1) if high <= 1 else ("images", 255)
        return f"if they are in 0..{whole}, convert them with {factor}.round().astype('uint8')"
    return (
        f"they are in {low:g}..{high:g}. If white is 65535, convert them with (images // 257)"
        ".astype('uint8')" + "; if white is 255, with images.astype('uint8')" * bool(high <= 255)
    )


def _labels(which: str, labels_like: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return labels as integers [n]."""
    labels = _array(f"{which} labels", labels_like)
    if labels.ndim == 2 and labels.shape[1] == 1:  # the shape of CIFAR's labels in Keras
        labels = labels[:, 0]
    if labels.ndim == 1 and labels.dtype.kind in "iu":
        return labels
    is_number = labels.dtype.kind in "iufb" and labels.size > 0
    if is_number and labels.ndim == 1 and (labels == np.floor(labels)).all():
        cure = "convert them with labels.astype('int64')"
    elif is_number and labels.ndim == 2 and _is_one_hot(labels):
        cure = "convert one-hot labels with labels.argmax(axis=1)"
    else:
        cure = "give each image the number of its class, from 0"
    raise DataError(
        f"{which} labels are {labels.dtype} of shape {labels.shape}, expected integers [n]: {cure}"
    )


def _is_one_hot(labels: npt.NDArray[Any]) -> bool:
    """Return whether each row of labels [n, num_classes] has a single 1 among zeros."""
    return bool(((labels == 1).sum(axis=1) == 1).all() and (labels != 0).sum() == len(labels))


def _weights(which: str, weights_like: npt.ArrayLike | None, n: int) -> Any:
    """Return the weights of examples as float32 [n]; None if there are none."""
    if weights_like is None:
        return None
    weights = _array(f"{which} weights", weights_like)
    is_right = weights.dtype.kind in "iufb" and weights.shape == (n,)
    if not is_right or not np.isfinite(weights).all() or weights.min() < 0:
        raise DataError(
            f"{which} weights are {weights.dtype} of shape {weights.shape}, or some are negative "
            f"or not finite; expected finite numbers >= 0 of shape ({n},)"
        )
    return weights.astype(np.float32)


def _array(name: str, array_like: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        return np.asarray(array_like)
    except ValueError as error:  # lists of different lengths
        raise DataError(f"the {name} are no array: give all of them one shape") from error


def _check_shape(which: str, images: npt.NDArray[np.uint8], spec: DatasetSpec) -> None:
    if images.shape[1:] != tuple(spec.image_shape):
        needed = ", ".join(map(str, spec.image_shape))
        raise DataError(f"{which} images have shape {images.shape}, expected [n, {needed}]")


def _in_words(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"one array of shape {tuple(shape)}"
