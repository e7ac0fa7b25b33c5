"""Images that are not in memory: each is read when it is asked for, by its row.

Such images take the place of an array in a `Split`. They are indexed like one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

Read = Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]


class RowImages:
    """Images that a function reads by their rows.

    A slice or a mask chooses some of the images and reads none. An integer, or a list of integers,
    reads images, and so does `np.asarray`.

    Attributes:
        read_columns: what of the training set is read row by row; see `build_resident_data`.
        shape: (n, height, width, channels).
        dtype: uint8, or float32.
    """

    ndim = 4
    read_columns = ("images",)

    def __init__(
        self,
        read: Read,
        rows: npt.NDArray[np.int64],
        image_shape: Sequence[int],
        dtype: npt.DTypeLike = np.uint8,
    ) -> None:
        """Choose the images.

        Args:
            read: function from rows, int64 [k], to the images [k, height, width, channels]. Several
                threads may call it at once.
            rows: int64 [n], in the order of the images.
            image_shape: (height, width, channels).
            dtype: of the images.
        """
        self._read, self._rows = read, rows
        self.shape = (len(rows), *image_shape)
        self.dtype = np.dtype(dtype)

    @property
    def nbytes(self) -> int:
        """The memory that the images would take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def start(self) -> Callable[[npt.NDArray[np.int64]], tuple[npt.NDArray[Any], ...]]:
        """Return the function for `RowReader.read`."""
        return lambda rows: (self[rows],)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list) and not index:
            return np.empty((0, *self.shape[1:]), self.dtype)
        chosen = self._rows[np.asarray(index) if isinstance(index, list) else index]
        if isinstance(index, slice) or (np.asarray(index).dtype == bool):
            return RowImages(self._read, chosen, self.shape[1:], self.dtype)
        return self._read(np.atleast_1d(chosen)) if np.ndim(chosen) else self._read(chosen[None])[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("these images are read from files, so an array of them is a copy")
        return self._read(self._rows).astype(dtype or self.dtype, copy=False)


def batches_of(images: Any, batch_size: int, starts: Sequence[int] | None = None) -> Iterator[Any]:
    """Yield the images in batches; while the caller works on one, a thread reads the next.

    Args:
        images: an array [n, ...], whose batches are views of it; or `RowImages`.
        batch_size: images in a batch; the last one may have fewer.
        starts: the first image of each batch; default: all batches, in order.
    """
    starts = range(0, len(images), batch_size) if starts is None else starts
    parts = [slice(start, start + batch_size) for start in starts]
    if not isinstance(images, RowImages):
        yield from (images[part] for part in parts)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="next-batch") as reader:
        ahead = None
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            batch = ahead.result() if ahead else np.asarray(images[part])
            ahead = reader.submit(np.asarray, images[following]) if following else None
            yield batch
