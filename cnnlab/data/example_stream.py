"""A training set that is a stream: examples in an order of its own, maybe without an end.

It is read while it trains. A stream cannot be read at any place. So a resumed run reads it from its
start, and its weights are not those of a run that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError, UsageError
from cnnlab.base.printing import print_lines
from cnnlab.base.tf1 import translate_op_errors
from cnnlab.data.from_streams import elements_of, is_tf_dataset, parts_of
from cnnlab.data.head_labels import check_same_heads

_BATCH_RANK = 4  # of a batch of images


class ExampleStream:
    """Images of a stream, in the place of an array in a `Split`; see `streamed`.

    Attributes:
        read_columns: the names of the parts of an example.
        shape: (examples of an epoch, height, width, channels).
        dtype: of the images.
        check: function from a batch of columns to the same, checked and of the right types.
        check_labels: function that raises an error if checked labels do not fit the run's options.
    """

    ndim = 4

    def __init__(self, source: Any, examples_per_epoch: int) -> None:
        self._source, self._length = source, examples_per_epoch
        self._batches, self._held = self._read(), list[tuple[Any, ...]]()
        self._is_said = False
        self.check: Callable[[tuple[Any, ...]], Sequence[Any]] = tuple
        self.check_labels: Callable[[Any], None] | None = None
        with translate_op_errors("the train data"):
            self.first = next(self._batches)
        self.read_columns = ("images", "labels", "weights")[: len(self.first)]

    def become(self, checked: Sequence[Any], check: Callable[[Any], Sequence[Any]]) -> None:
        """Take the facts of the data set.

        Args:
            checked: the first columns, checked.
            check: see the class.
        """
        self.shape, self.dtype = (self._length, *checked[0].shape[1:]), checked[0].dtype
        self.facts = f"a stream of {self.shape} {self.dtype}"
        self.check = check

    @property
    def nbytes(self) -> int:
        """The memory that the stream takes, which is that of a few batches."""
        return 0

    def say(self) -> None:
        """Print once what a stream means for a run that is resumed."""
        if not self._is_said:
            self._is_said = True
            print_lines(
                "note: the training data is a stream: a resumed run reads it from its start, so "
                "its weights differ from those of a run that was never stopped",
                to_stderr=True,
            )

    def start(self) -> Callable[[npt.NDArray[np.int64]], Sequence[npt.NDArray[Any]]]:
        """Return the function for `RowReader.read`; it begins with the stream's first example."""
        self._batches, self._held = self._read(), []
        return self._next_columns

    def _next_columns(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
        """Return the columns of the next examples, as many as there are indices.

        Raises:
            DataError: an example does not fit the first one.
            CnnlabError: the stream fails.
        """
        count = len(indices)
        with translate_op_errors("the train data"):
            while sum(len(batch[0]) for batch in self._held) < count:
                self._held.append(next(self._batches))
        columns = [_joined(parts) for parts in zip(*self._held, strict=True)]
        rest = tuple(column[count:] for column in columns)
        self._held = [rest] if len(rest[0]) else []
        checked = self.check(tuple(column[:count] for column in columns))
        if self.check_labels is not None:
            self.check_labels(checked[1])
        return [column for column in checked if column is not None]

    def _read(self) -> Iterator[tuple[Any, ...]]:
        """Yield batches of columns without an end."""
        while True:
            is_empty = True
            with elements_of("train", self._source) as elements:
                for element in elements:
                    is_empty = False
                    parts = parts_of("train", element)
                    is_batch = parts[0].ndim == _BATCH_RANK
                    yield parts if is_batch else tuple(part[None] for part in parts)
            if is_empty:
                raise DataError(
                    "the train data yields nothing: expected (image, label), at least once"
                )

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> NoReturn:
        _refuse()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        _refuse()


class StreamLabels:
    """The labels of a stream, in the place of an array; only their number is known."""

    def __init__(self, images: ExampleStream) -> None:
        self.facts, self._length = images.facts, len(images)
        self.shape, self.ndim = (self._length,), 1

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> NoReturn:
        _refuse()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        _refuse()


def streamed(source: Any, *, examples_per_epoch: int) -> ExampleStream:
    """Return a training set that is read while it trains, for `Train(data=(train, test))`.

    Use it for data that does not fit into memory or never ends. The examples come in the stream's
    own order: cnnlab does not shuffle them. Where the stream ends, it is read from its start again.
    Data that can be indexed needs no stream: an object with `len(data)` and `data[i]` is read in
    cnnlab's order, and exactly resumed.

    Args:
        source: a `tf.data.Dataset`, or a function that returns an iterator. Its elements are
            (image, label) or (image, label, weight), or batches of these; see
            `dataset_from_arrays`.
        examples_per_epoch: how many examples count as one epoch (>= 1).

    Raises:
        UsageError: `source` or `examples_per_epoch` is something else.
        DataError: the stream yields nothing, or something else.
    """
    if not is_tf_dataset(source) and not callable(source):
        raise UsageError(
            f"streamed() needs a tf.data.Dataset or a function that returns an iterator, not "
            f"{type(source).__name__}"
        )
    if not isinstance(examples_per_epoch, (int, np.integer)) or examples_per_epoch < 1:
        raise UsageError(f"examples_per_epoch={examples_per_epoch!r} is not a number from 1")
    return ExampleStream(source, int(examples_per_epoch))


def _joined(parts: Sequence[Any]) -> Any:
    check_same_heads("train", parts)
    if odd := [part.shape[1:] for part in parts if part.shape[1:] != parts[0].shape[1:]]:
        raise DataError(
            f"the train data yields the shape {odd[0]} after {parts[0].shape[1:]}; give all "
            "examples one shape"
        )
    return np.concatenate(parts)


def _refuse() -> NoReturn:
    raise UsageError(
        "the training data is a stream, which is read only once, but this needs all of its images "
        "or labels beforehand: for example --validation_split, --scaling=normalize, balanced "
        "classes, or an evaluation on the training set"
    )
