"""NumPy arrays whose memory TensorFlow can share without copying it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64  # bytes; a session copies a fed array first if its address is no multiple of this


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an uninitialized array like `numpy.empty`, at an address that a session can share.

    NumPy itself never puts a large array at such an address.

    Args:
        shape: the shape of the array.
        dtype: its element type.

    Returns:
        an array whose address is a multiple of `ALIGNMENT` bytes.
    """
    num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(num_bytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + num_bytes].view(dtype).reshape(shape)
