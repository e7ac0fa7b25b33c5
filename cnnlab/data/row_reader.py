"""Reads rows of the training set in Python while the graph trains.

For data that is not resident: pictures in a cache or in files, and streams. The graph holds no
more than a number that names the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.tf1 import failing_as_itself, tf

Read = Callable[[npt.NDArray[np.int64]], tuple[npt.NDArray[Any], ...]]


class RowReader:
    """Some columns of the training set, such as the images, which are read row by row.

    Attributes:
        kinds: name of a column to its TensorFlow type and the shape of one row.
        read: function from rows, int64 [k], to an array [k, ...] for each column. It is set before
            training starts. Only one thread calls it, but maybe not always the same.
    """

    def __init__(self, kinds: Mapping[str, tuple[Any, list[int]]]) -> None:
        self.kinds = dict(kinds)
        self.read: Read | None = None

    def columns(self, indices: Any) -> dict[str, Any]:
        """Return the columns of some rows, inside a tf.data function.

        Args:
            indices: int64 [k].

        Returns:
            name of a column to its values [k, ...].
        """
        types = [dtype for dtype, _ in self.kinds.values()]
        values = tf.numpy_function(failing_as_itself(self._read), [indices], types)
        for value, (_, shape) in zip(values, self.kinds.values(), strict=True):
            value.set_shape([indices.shape[0], *shape])
        return dict(zip(self.kinds, values, strict=True))

    def _read(self, indices: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
        assert self.read is not None
        types = [dtype.as_numpy_dtype for dtype, _ in self.kinds.values()]
        found = zip(self.read(indices), types, strict=True)
        return [np.asarray(values, dtype) for values, dtype in found]
