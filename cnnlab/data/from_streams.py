"""Arrays from a `tf.data.Dataset`, or from a function that returns an iterator.

They are read once, in order, into memory. So training can draw any image at any step, and a resumed
run makes the same steps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from cnnlab.base.errors import CnnlabError, DataError
from cnnlab.base.machine import memory_bytes
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import open_session, tf, translate_op_errors
from cnnlab.data.head_labels import check_same_heads, records_of_heads

LARGEST_SHARE = 0.5  # of the machine's memory
_INFINITE = -1  # the cardinality of an infinite tf.data.Dataset
_BATCH_RANK = 4  # of a batch of images


def is_tf_dataset(given: object) -> bool:
    """Return whether this is a `tf.data.Dataset`; TensorFlow need not be loaded for the answer."""
    return hasattr(given, "element_spec") and hasattr(given, "_variant_tensor")


def arrays_of_tf_dataset(which: str, dataset: Any) -> tuple[Any, ...]:
    """Return the images and labels of a dataset, and the weights if its elements have them.

    Args:
        which: the name of the data in errors.
        dataset: a finite `tf.data.Dataset` of version 1 or 2. Its elements are (image, label) or
            (image, label, weight), or batches of these: images of rank 4.

    Raises:
        DataError: it is infinite or too large, or its elements are something else.
        CnnlabError: the dataset fails.
    """
    check = partial(_check_finite, which)
    with translate_op_errors(f"the {which} data"), _elements(which, dataset, check) as elements:
        return _stacked(which, elements)


def arrays_of_function(which: str, function: Callable[[], Any]) -> tuple[Any, ...]:
    """Return the images and labels that an iterator yields; see `arrays_of_tf_dataset`.

    Args:
        which: the name of the data in errors.
        function: returns an iterator of (image, label) or (image, label, weight), or of batches.

    Raises:
        DataError: it returns no iterator, or as for `arrays_of_tf_dataset`.
    """
    return _stacked(which, _iterator_of(which, function))


@contextlib.contextmanager
def elements_of(which: str, source: Any) -> Iterator[Iterator[Any]]:
    """Open an iterator over the elements of a `tf.data.Dataset`, or of a function's iterator.

    Raises:
        DataError: the function returns no iterator.
    """
    if not is_tf_dataset(source):
        yield _iterator_of(which, source)
        return
    with _elements(which, source) as elements:
        yield elements


def _iterator_of(which: str, function: Callable[[], Any]) -> Iterator[Any]:
    try:
        return iter(function())
    except TypeError as error:
        raise DataError(
            f"the {which} data is a function that returns no iterator of (image, label): {error}"
        ) from error


@contextlib.contextmanager
def _elements(
    which: str, dataset: Any, check: Callable[[int], None] = lambda cardinality: None
) -> Iterator[Iterator[Any]]:
    """Open an iterator over the elements as NumPy arrays, with or without eager execution.

    Args:
        which: the name of the data in errors.
        dataset: a `tf.data.Dataset`.
        check: is called with its cardinality.
    """
    graph = getattr(dataset._variant_tensor, "graph", None)  # None: made eagerly
    if graph is None:
        with tf.init_scope():
            check(int(dataset.cardinality()))
            yield dataset.as_numpy_iterator()
        return
    if graph.finalized:
        raise CnnlabError(
            f"the {which} data is a tf.data.Dataset of a graph that is finalized; make it in a "
            "graph of its own"
        )
    with building_in(graph):
        iterator = tf.data.make_initializable_iterator(dataset)
        element, cardinality = iterator.get_next(), dataset.cardinality()
    session = open_session(graph)
    try:
        check(int(session.run(cardinality)))
        session.run(iterator.initializer)
        yield _run_until_end(session, element)
    finally:
        # Not by `with`, which would start a thread: a stream may be left when Python is ending.
        session.close()


def _run_until_end(session: Any, element: Any) -> Iterator[Any]:
    while True:
        try:
            yield session.run(element)
        except tf.errors.OutOfRangeError:
            return


def _check_finite(which: str, cardinality: int) -> None:
    if cardinality == _INFINITE:
        raise DataError(
            f"the {which} data is an infinite tf.data.Dataset; leave out repeat(), end it with "
            "take(n), or train on cnnlab.streamed(dataset, examples_per_epoch=n)"
        )


def _stacked(which: str, elements: Iterator[Any]) -> tuple[Any, ...]:
    """Read all elements; return images, labels, and weights if there are any."""
    most_bytes = memory_bytes() * LARGEST_SHARE
    columns: list[list[Any]] = []
    num_bytes = 0
    is_batched = False
    for number, element in enumerate(elements):
        parts = parts_of(which, element)
        if not columns:
            columns = [[] for _ in parts]
            is_batched = parts[0].ndim == _BATCH_RANK
        if len(parts) != len(columns):
            raise DataError(
                f"the {which} data: element {number} has {len(parts)} parts, those before have "
                f"{len(columns)}"
            )
        num_bytes += sum(part.nbytes for part in parts)
        if num_bytes > most_bytes:
            raise DataError(
                f"the {which} data has more than {most_bytes / 2**30:.1f} GB after {number} "
                "elements, half of the memory; end it earlier, make the images smaller, or train "
                "on cnnlab.streamed(data, examples_per_epoch=n)"
            )
        for column, part in zip(columns, parts, strict=True):
            column.append(part)
    if not columns:
        raise DataError(f"the {which} data yields nothing: expected (image, label), at least once")
    join = np.concatenate if is_batched else np.stack
    return tuple(_joined(which, join, column) for column in columns)


def parts_of(which: str, element: Any) -> tuple[Any, ...]:
    """Return the parts of an element, (image, label) or (image, label, weight), as arrays.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(element, (tuple, list)) or len(element) not in (2, 3):
        found = type(element).__name__
        cure = ""
        if isinstance(element, dict):
            found = f"a mapping of {', '.join(map(str, element))}"
            cure = "; for a tf.data.Dataset, use dataset.map(lambda e: (e['image'], e['label']))"
        raise DataError(f"the {which} data yields {found}, expected (image, label){cure}")
    return tuple(
        records_of_heads(part) if isinstance(part, Mapping) else np.asarray(part)
        for part in element
    )


def _joined(which: str, join: Callable[[Any], Any], parts: list[Any]) -> Any:
    check_same_heads(which, parts)
    trailing = [part.shape[join is np.concatenate :] for part in parts]
    if odd := [i for i, shape in enumerate(trailing) if shape != trailing[0]]:
        raise DataError(
            f"the {which} data: element {odd[0]} has the shape {parts[odd[0]].shape}, the first "
            f"one {parts[0].shape}; give all of them one shape"
        )
    return join(parts)
