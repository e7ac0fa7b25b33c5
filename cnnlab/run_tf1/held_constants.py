"""Large arrays in the graph: held in memory beside it, where a program would make constants.

TensorFlow 1 writes an array into the GraphDef, for `tf.constant(array)` and for
`Dataset.from_tensor_slices(array)` alike. It is then limited to 2 GB, copied several times, written
into every event file, and set-up takes half a minute. Here an array of at least `LEAST_BYTES`
becomes one operation ImmutableConst, which maps memory that all sessions of this process share. The
operation has the name of the constant and takes its place in the count of operations, so names and
random seeds stay, and a one-shot iterator accepts it, because it has no state.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import sys
from typing import Any, Final

import numpy as np

from cnnlab.base.tf1 import framework_ops, tf
from cnnlab.run_tf1.noted import stands_in

LEAST_BYTES: Final = 10 << 20
_LEAST_DESCRIPTOR: Final = 512  # so that a graph read by another program finds no file there


def hold_large_constants() -> None:
    """From here on, keep large constants of graphs outside them, in this process.

    Where the system has no files in memory (it is not Linux), nothing changes.
    """
    if not hasattr(os, "memfd_create"):
        return
    make_constant = framework_ops._create_graph_constant

    def create(
        value: Any, dtype: Any, shape: Any, name: Any, verify_shape: Any, allow_broadcast: Any
    ) -> Any:
        if (array := _large_array(value, dtype)) is not None and _keeps_shape(array, shape):
            return _held(array if shape is None else array.reshape(_dimensions(shape)), name)
        return make_constant(value, dtype, shape, name, verify_shape, allow_broadcast)

    vars(sys.modules[framework_ops.__name__])["_create_graph_constant"] = create


def _large_array(value: Any, dtype: Any) -> Any:
    """Return a value as an array of the constant's type if it is large; None: it is not."""
    if isinstance(value, list) and len(value) > 1000:
        # A long list of rows: TensorFlow would convert it in the same way.
        first = np.asarray(value[0]) if not isinstance(value[0], str | bytes) else None
        if first is None or first.dtype.kind not in "biuf" or first.size * len(value) < 1 << 20:
            return None
        value = np.array(value)
        if dtype is None and value.dtype == np.float64:
            value = value.astype(np.float32)  # as TensorFlow does for Python's numbers
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        return None
    wanted = value.dtype if dtype is None else np.dtype(tf.as_dtype(dtype).as_numpy_dtype)
    if value.size * wanted.itemsize < LEAST_BYTES or not np.can_cast(
        value.dtype, wanted, "same_kind"
    ):
        return None
    return value.astype(wanted, copy=False)


def _dimensions(shape: Any) -> list[int]:
    return [int(size) for size in tf.TensorShape(shape).as_list()]


def _keeps_shape(array: Any, shape: Any) -> bool:
    return shape is None or math.prod(_dimensions(shape)) == array.size


def _held(array: Any, name: str | None) -> Any:
    """Return a tensor of the current graph with the content of an array."""
    region = _region(array.nbytes)
    with mmap.mmap(region, array.nbytes) as memory:
        view = np.frombuffer(memory, dtype=array.dtype).reshape(array.shape)
        view[...] = array
        del view
    stands_in("arrays of over 10 MB in the graph", "memory beside it")
    with tf.device("/cpu:0"):
        return tf.raw_ops.ImmutableConst(
            dtype=tf.as_dtype(array.dtype),
            shape=array.shape,
            memory_region_name=f"/proc/self/fd/{region}",
            name=name or "Const",
        )


def _region(size: int) -> int:
    """Return the descriptor of a new file in memory."""
    made = os.memfd_create("cnnlab-array")
    os.ftruncate(made, size)
    region = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
    os.close(made)
    return region
