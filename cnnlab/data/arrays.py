"""Data sets made from arrays: what is checked of a file is checked of an array too."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.data.array_images import array_of, checked_range, pixels_of
from cnnlab.data.array_labels import (
    checked_targets,
    default_names,
    fitting_labels,
    read_labels,
    targets_of,
)
from cnnlab.data.datasets import Dataset, Split
from cnnlab.data.example_stream import ExampleStream, StreamLabels
from cnnlab.data.from_files import arrays_of_table, is_table, splits_of_table
from cnnlab.data.from_streams import arrays_of_function, arrays_of_tf_dataset, is_tf_dataset
from cnnlab.data.head_labels import (
    Columns,
    columns_of_heads,
    fitting_heads,
    names_of_heads,
    numbered_heads,
)
from cnnlab.data.image_files.borders import background_of
from cnnlab.data.indexed import arrays_of_indexed, is_indexed, mapped_images
from cnnlab.data.specs import DATASETS, DatasetSpec, ImageRange, Targets

# (images, labels), of the training set also with weights; or a `tf.data.Dataset`, a function that
# returns an iterator, or a table of image files. A type could not say more: arrays have many types.
Pair = Any
Pairs = Any  # (train, test) or (train, validation, test), or a table with the column split


def dataset_of(data: Dataset | Pairs) -> Dataset:
    """Return the data that a caller of `Train` gave, checked.

    Args:
        data: a Dataset, the pairs (train, test) or (train, validation, test), or a table with a
            column split; see `dataset_from_arrays`.

    Raises:
        DataError: it is something else; or as for `dataset_from_arrays`.
    """
    if isinstance(data, Dataset):
        if isinstance(data.train.images, ExampleStream):
            return data
        splits = {"train": data.train, "validation": data.validation, "test": data.test}
        given = {which: split for which, split in splits.items() if split is not None}
        return _checked(data.spec, given)
    if is_table(data):
        rows = splits_of_table(data)
        return dataset_from_arrays(rows["train"], rows["test"], validation=rows.get("validation"))
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise DataError(
            f"data is {_in_words(data)}, expected the pairs (train, test) or (train, validation, "
            "test), each (images, labels)"
        )
    return dataset_from_arrays(data[0], data[-1], validation=data[1] if len(data) == 3 else None)


def dataset_from_arrays(
    train: Pair,
    test: Pair,
    class_names: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    name: str = "arrays",
    validation: Pair | None = None,
    *,
    image_range: Sequence[float] | None = None,
    targets: Targets | None = None,
) -> Dataset:
    """Make a data set from arrays, such as those of `tf.keras.datasets.cifar10.load_data()`.

    Instead of (images, labels), a split may be a finite `tf.data.Dataset` of (image, label), or of
    batches; a function that returns an iterator of the same; or image files of one size: a
    DataFrame of pandas with the columns path and label, or a list of (path, label). These are read
    once, in order, into memory.

    Data that does not fit into memory is read while it trains, if it can be indexed: an object with
    `len(data)` and `data[i]`, which is (image, label); or a `np.memmap` as images. A training set
    that can only be read in order is given as `cnnlab.streamed(...)`.

    Args:
        train, test: (images, labels). Images are uint8 [n, height, width, channels] with 1, 3 or 4
            channels, or [n, height, width]. Integers of 32 or 64 bits are accepted, too, if all
            are in 0..255; other numbers with `image_range`. A third array of train is the weight
            of each example in the loss: numbers >= 0 [n]. Labels are of one of these kinds, which
            the training labels decide:
            classes: integers from 0 [n] or [n, 1], or -1 and 1; names [n], booleans [n], or one-hot
            rows [n, num_classes]. Names of classes are sorted. Other splits may have no others.
            labels: 0 and 1 [n, num_labels], any number of ones in a row; for the loss sigmoid.
            values: floats [n] or [n, num_values], to predict; for the losses mse, mae and msle.
            heads: several kinds of classes, as a mapping from the name of each head to its classes,
            in the forms above; or a DataFrame with a column for each head. With targets="heads"
            also integers [n, heads]. The loss is the sum of the heads' cross-entropies.
        class_names: one name per class, label or value; default: the names among the labels, else
            "0", "1", ... Of heads, a mapping from head to the names of its classes.
        name: the name of the data set in reports, not that of an official data set.
        validation: (images, labels) of the validation set; default: none.
        image_range: (black, white), such as (0, 1) or (-1, 1), of images of any number type. They
            are held as float32. An image x counts as the grey levels
            255 (x - black) / (white - black), as those of uint8, in scaling and augmentation.
        targets: "classes", "labels", "values" or "heads", where the labels do not show their kind.

    Returns:
        the data set. It shares memory with the arrays where possible.

    Raises:
        DataError: wrong types, shapes or ranges, an empty split, labels that are unknown, missing
            or out of range, or the name of an official data set.
    """
    given = {"train": train, "validation": validation, "test": test}
    whole = checked_range(image_range)
    pairs = {which: _pair(which, one, whole) for which, one in given.items() if one is not None}
    images = {which: pixels_of(which, pair[0], whole) for which, pair in pairs.items()}
    by_head = _heads_of({which: pair[1] for which, pair in pairs.items()}, targets)
    if by_head is not None:
        targets, names = "heads", names_of_heads(by_head, class_names)
    else:
        labels = [read_labels(which, pair[1]) for which, pair in pairs.items()]
        targets = targets_of(labels[0]) if targets is None else checked_targets(targets)
        if class_names is None:
            class_names = default_names(targets, labels)
        names = tuple(map(str, class_names))
    if len(set(names)) < len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise DataError(f"class_names has {twice} twice; give each class a name of its own")
    height, width, channels = images["train"].shape[1:]
    spec = DatasetSpec(name, (height, width, channels), names, 0, 0, targets, whole)
    found = {which: (images[which], *pair[1:]) for which, pair in pairs.items()}
    return _checked(spec, found, train if isinstance(train, ExampleStream) else None)


def _heads_of(labels: Mapping[str, Any], targets: Targets | None) -> dict[str, Columns] | None:
    """Return the labels of each head, by split; None: the labels are no heads."""
    found = {which: columns_of_heads(which, given) for which, given in labels.items()}
    if found["train"] is None and targets != "heads":
        return None
    if targets not in (None, "heads"):
        raise DataError(f"targets={targets!r} does not fit labels that are given for each head")
    heads = None if found["train"] is None else list(found["train"])
    return {
        which: numbered_heads(which, np.asarray(labels[which]), heads) if own is None else own
        for which, own in found.items()
    }


def _checked(
    spec: DatasetSpec, pairs: Mapping[str, Pair], stream: ExampleStream | None = None
) -> Dataset:
    """Return a data set with its splits checked, and their sizes in its spec.

    Args:
        spec: the facts about the data set, without its sizes.
        pairs: the images and labels of each split.
        stream: the training set, of which `pairs` has the first batch only.
    """
    name = spec.name
    if name in DATASETS:  # commands that read a run's config.yaml would load the official files
        raise DataError(
            f"data has the name of the official data set {name}: give it another name, or, if it "
            f"is that data set, leave data out and use dataset='{name}'"
        )
    splits = {which: check_fitting(which, pair, spec) for which, pair in pairs.items()}
    train, test = splits["train"], splits["test"]
    background = background_of(train.images, spec.image_range)
    if stream is not None:
        stream.become(train, partial(check_fitting, "train", spec=spec))
        train = Split(stream, StreamLabels(stream))
    spec = dataclasses.replace(
        spec,
        num_train=len(train.labels),
        num_test=len(test.labels),
        background=background,
    )
    return Dataset(spec, train, test, splits.get("validation"))


def _pair(which: str, pair: Pair, image_range: ImageRange | None) -> tuple[Any, ...]:
    """Return (images, labels), or of the training set also with weights; of a stream the first.

    Raises:
        DataError: it is something else.
    """
    if is_table(pair):
        pair = arrays_of_table(which, pair)
    elif is_tf_dataset(pair):
        pair = arrays_of_tf_dataset(which, pair)
    elif isinstance(pair, ExampleStream):
        pair = _first_of_stream(which, pair)
    elif is_indexed(pair):
        pair = arrays_of_indexed(which, pair, image_range)
    elif callable(pair):
        pair = arrays_of_function(which, pair)
    elif isinstance(pair, Iterator):
        raise DataError(
            f"the {which} data is an iterator, which can be read only once; give the function that "
            "makes it"
        )
    sizes = (2, 3) if which == "train" or isinstance(pair, Split) else (2,)
    if not isinstance(pair, (tuple, list)) or len(pair) not in sizes:
        raise DataError(
            f"the {which} data is {_in_words(pair)}, expected (images, labels)"
            + ", or (images, labels, weights)" * (3 in sizes)
        )
    return (mapped_images(pair[0]), *pair[1:])


def _first_of_stream(which: str, stream: ExampleStream) -> tuple[Any, ...]:
    if which != "train":
        raise DataError(
            f"the {which} data is a stream, but only the training data can be one; give arrays"
        )
    return stream.first


def check_fitting(which: str, pair: Pair, spec: DatasetSpec) -> Split:
    """Return a pair as a Split that fits the images and the labels of a data set.

    Args:
        which: the name of the pair in errors; "train" may have a third array, the weights.
        pair: (images, labels); see `dataset_from_arrays`.
        spec: the facts about the data set.

    Raises:
        DataError: wrong number of arrays, wrong types, shapes or ranges, no image, or an unknown
            class.
    """
    images_like, labels_like, *weights_like = _pair(which, pair, spec.image_range)
    images = pixels_of(which, images_like, spec.image_range)
    if spec.targets == "heads":
        labels = fitting_heads(which, labels_like, spec)
    else:
        labels = read_labels(which, labels_like)
    if len(images) != len(labels) or not len(images):
        raise DataError(
            f"{which} has {len(images)} images and {len(labels)} labels: "
            f"expected equal numbers, at least 1"
        )
    _check_shape(which, images, spec)
    if spec.targets != "heads":
        labels = fitting_labels(which, labels, spec.targets, spec.class_names)
    weights = _weights(which, weights_like[0], len(labels)) if weights_like else None
    return Split(images, labels, weights)


def check_fitting_images(which: str, images: npt.ArrayLike, spec: DatasetSpec) -> Any:
    """Return images of any number, even 0, that fit the images of a data set.

    Raises:
        DataError: they have a wrong type, range or shape.
    """
    pixels = pixels_of(which, images, spec.image_range)
    _check_shape(which, pixels, spec)
    return pixels


def _weights(which: str, weights_like: npt.ArrayLike | None, n: int) -> Any:
    """Return the weights of examples as float32 [n]; None if there are none."""
    if weights_like is None:
        return None
    weights = array_of(f"{which} weights", weights_like)
    is_right = weights.dtype.kind in "iufb" and weights.shape == (n,)
    if not is_right or not np.isfinite(weights).all() or weights.min() < 0:
        raise DataError(
            f"{which} weights are {weights.dtype} of shape {weights.shape}, or some are negative "
            f"or not finite; expected finite numbers >= 0 of shape ({n},)"
        )
    return weights.astype(np.float32)


def _check_shape(which: str, images: npt.NDArray[Any], spec: DatasetSpec) -> None:
    if images.shape[1:] != tuple(spec.image_shape):
        needed = ", ".join(map(str, spec.image_shape))
        raise DataError(f"{which} images have shape {images.shape}, expected [n, {needed}]")


def _in_words(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"one array of shape {tuple(shape)}"
