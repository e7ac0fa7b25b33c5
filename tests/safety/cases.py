"""What a bad input is."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CODES_FAILED, CODES_USAGE, CODES_REFUSED = (1,), (2,), (1, 2)
CODES_SURVIVED = (0, 1)  # a damaged newest checkpoint: the one before is used, if there is one


class Case(NamedTuple):
    """One bad input.

    name: for messages.
    prepare: called with an empty folder in which the finished run stands as `run`.
    words: the command's name and its arguments; {folder} stands for the folder.
    codes: exit codes that are right.
    """

    name: str
    prepare: Callable[[Path], object]
    words: tuple[str, ...]
    codes: tuple[int, ...]


def writer(name: str, content: bytes) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return write
