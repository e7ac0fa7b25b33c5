"""Who takes part: a name, how its process is set up, and the class that trains.

To add one, write a class with the methods of `Contestant` in a file of its own and enter it here.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from bench.workloads import Workload

ONEDNN: Final = "TF_ENABLE_ONEDNN_OPTS"


class Contestant(Protocol):
    """A training program, in a process of its own."""

    def __init__(self, workload: Workload, data_dir: str, scratch: Path) -> None:
        """Load the data and get ready to train."""

    def run(self, steps: int) -> None:
        """Make training steps, and return when they are done."""

    def losses(self, steps: int, start_file: Path) -> list[float]:
        """Return each step's loss, before its update, from the start that the file holds.

        The file is an npz: each weight by its name, and `batches`, int64 [steps, batch_size], the
        indices of each step's images. The first contestant writes it; the others read it.
        """


class Entry(NamedTuple):
    """How a contestant is started.

    Attributes:
        home: module and class that trains, as "module:Class".
        onednn: the environment's TF_ENABLE_ONEDNN_OPTS; None leaves it to the contestant.
        about: one line for the table.
    """

    home: str
    onednn: str | None
    about: str

    def load(self) -> type[Contestant]:
        """Import the class, and the framework with it."""
        module, _, name = self.home.partition(":")
        return getattr(importlib.import_module(module), name)

    def environment(self, outside: Mapping[str, str]) -> dict[str, str]:
        """The process's environment."""
        inside = {name: value for name, value in outside.items() if name != ONEDNN}
        inside["TF_CPP_MIN_LOG_LEVEL"] = "3"
        return inside if self.onednn is None else {**inside, ONEDNN: self.onednn}


# The first writes the start of the losses' comparison.
CONTESTANTS: Final[dict[str, Entry]] = {
    "cnnlab": Entry("bench.with_cnnlab:CnnlabContestant", None, "cnnlab, its defaults"),
    "plain": Entry("bench.plain:PlainContestant", None, "plain loop, TensorFlow's defaults"),
    "plain-onednn-off": Entry("bench.plain:PlainContestant", "0", "plain loop, oneDNN off"),
    "plain-onednn-on": Entry("bench.plain:PlainContestant", "1", "plain loop, oneDNN on"),
}
