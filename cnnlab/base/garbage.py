"""Python's search for unreachable objects, put off where many are made that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """No search while the block runs. It goes through everything that is there, again and again as
    more is made, and of a module or a graph nothing is unreachable yet."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
