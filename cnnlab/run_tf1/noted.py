"""What the program used that today's TensorFlow lacks, and what was observed of its training."""

from __future__ import annotations

import sys
import sysconfig
from collections import Counter
from pathlib import Path
from typing import Any, Final

_PYTHON: Final = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_CNNLAB: Final = str(Path(__file__).parents[1])

# old name -> what stands in for it; in the order of first use
stand_ins: dict[str, str] = {}
# names of data sets that the program read
datasets: dict[str, None] = {}
# optimizer class -> its constructor's arguments
optimizers: list[tuple[str, dict[str, Any]]] = []
# size of the batch that a training step read -> number of steps
batches: Counter[int] = Counter()
# other facts: batch_size, decay
traits: dict[str, Any] = {}
steps = 0  # training steps that sessions ran


def stands_in(old: str, new: str) -> None:
    """Note that the program used `old`, which `new` stands in for."""
    stand_ins.setdefault(old, new)


def program_line() -> str:
    """Return the line of the program that runs, as "mnist.py:12"; "" if none is found."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not is_library(file):
            return f"{Path(file).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def is_library(file: str) -> bool:
    """Return whether a file is cnnlab's, Python's or an installed package's."""
    return file.startswith(("<", _CNNLAB, *_PYTHON)) and not file.startswith("<ipython")
