"""Treat denormal numbers as zero on the calling thread too.

Denormal numbers are so small (below 1.2e-38 in float32) that they have fewer digits. TensorFlow's
own threads treat them as zero, but the thread that calls TensorFlow does not. An operation may run
on either. Without this module, the small values that an optimizer's moving averages fade to would
depend on the thread.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_WORDS: Final = 8  # 32-bit words in fenv_t on x86-64
_MXCSR: Final = 7  # the index of the word that holds the register MXCSR
_ARE_ZERO: Final = 0x8040  # the bits for results (FZ) and for operands (DAZ)


@functools.cache
def can_flush() -> bool:
    """Return whether a thread can do this: only on Linux, on x86-64."""
    return (sys.platform, platform.machine()) == ("linux", "x86_64")


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Treat denormal numbers as zero on this thread inside the block, where `can_flush()`."""
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
