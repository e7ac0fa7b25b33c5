"""Numbers so small that they have fewer digits (denormal, below 1.2e-38 in float32): zero on the
calling thread too.

The threads that TensorFlow makes take such numbers for zero; the thread that calls it does not. So
where operations may run on either, what an optimizer's average of the gradients fades to would
depend on which it was.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_WORDS: Final = 8  # of fenv_t on x86-64
_MXCSR: Final = 7  # which of them is the register MXCSR
_ARE_ZERO: Final = 0x8040  # its bits for results (FZ) and for operands (DAZ)


@functools.cache
def can_flush() -> bool:
    """Whether a thread can be told to: on Linux, on x86-64."""
    return (sys.platform, platform.machine()) == ("linux", "x86_64")


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Denormal numbers are zero for this thread while the block runs, where it can be told to."""
    if not can_flush():
        yield
        return
    library = _library()
    before, changed = (ctypes.c_uint32 * _WORDS)(), (ctypes.c_uint32 * _WORDS)()
    library.fegetenv(before)
    ctypes.memmove(changed, before, ctypes.sizeof(before))
    changed[_MXCSR] |= _ARE_ZERO
    library.fesetenv(changed)
    try:
        yield
    finally:
        library.fesetenv(before)


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL("libm.so.6")
