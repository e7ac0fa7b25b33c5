"""What a bad input is, and the run that bad inputs damage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

CODES_FAILED, CODES_USAGE, CODES_REFUSED = (1,), (2,), (1, 2)
CODES_SURVIVED = (0, 1)  # a damaged newest checkpoint: the one before is used, if there is one

# The options of Train for the finished run that each case gets a copy of.
OPTIONS: dict[str, Any] = {
    "dataset": "shapes",
    "model": "mnist_perceptron",
    "batch_size": 50,
    "learning_rate": 1e-4,
    "steps": 30,
    "checkpoint_steps": 10,
    "eval_steps": 10,
    "eval_examples": 50,
    "summary_steps": 5,
}


class Case(NamedTuple):
    """One bad input.

    Attributes:
        name: for messages.
        prepare: called with a folder that holds nothing but the finished run, as `run`.
        words: the command's name and its arguments; {folder} is replaced by the folder.
        codes: the exit codes that are right.
    """

    name: str
    prepare: Callable[[Path], object]
    words: tuple[str, ...]
    codes: tuple[int, ...]


def writer(name: str, content: bytes) -> Callable[[Path], object]:
    """Return a `prepare` that writes one file.

    Args:
        name: the file's path inside the folder.
        content: the file's bytes.
    """

    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return write
