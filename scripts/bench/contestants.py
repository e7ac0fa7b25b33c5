"""The contestants: a name, how its process is set up, and the class that trains.

To add one, write a class with the methods of `Contestant` in a new file and enter it here.
"""

import importlib
import importlib.util
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from scripts.bench.workloads import Workload

ONEDNN: Final = "TF_ENABLE_ONEDNN_OPTS"

# Ways to set contestants up. cnnlab takes part in all of them, always with its defaults.
LEAGUES: Final = {
    "installed": "as installed",
    "expert": "expert",
    "onednn-off": "oneDNN off",  # as TensorFlow runs on CPUs without AVX-512 VNNI
}
DEFAULT_LEAGUES: Final = ("installed", "expert")
INSTALLED, EXPERT, ONEDNN_OFF = ("installed",), ("expert",), ("onednn-off",)

# Environment variables that restrict the libraries' kernels to an instruction set.
INSTRUCTION_SETS: Final[dict[str, dict[str, str]]] = {
    "native": {},
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # in TensorFlow and PyTorch
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
}


class Contestant(Protocol):
    """A training program in a separate process."""

    def __init__(self, workload: Workload, data_dir: str, scratch: Path, **settings: Any) -> None:
        """Load the data and prepare to train."""

    def run(self, steps: int) -> int:
        """Make about `steps` training steps; return how many were made."""

    def tune(self) -> None:
        """Choose settings by trial, after the first step. Most contestants have none."""

    def load(self, start_file: Path) -> None:
        """Load the weights of a start file.

        The file is an .npz: each weight under its name, and `batches`, int64 [steps, batch_size],
        the indices of each step's images. The first contestant writes it, the others read it.
        """

    def losses(self, start_file: Path, steps: int) -> list[float]:
        """Start from the file; return each step's loss on the file's batches, before its update."""

    def evaluate(self, batch_size: int) -> dict[str, float]:
        """Return loss, accuracy and n (the number of images) of the test set.

        The batches have batch_size images, unless the contestant chooses a size itself.
        """

    def predict(self, batch_size: int) -> Any:
        """Return the class probabilities of the test set's images, float32 [n, num_classes].

        The batches are those of `evaluate`.
        """


class Entry(NamedTuple):
    """How a contestant is started.

    Attributes:
        home: module and class that trains, as "module:Class".
        leagues: the names of its leagues, keys of LEAGUES.
        about: one line for the tables.
        onednn: value of the environment variable TF_ENABLE_ONEDNN_OPTS; None: not set.
        package: a package that it needs besides those that cnnlab needs.
        needs_compiler: whether it needs a C++ compiler.
        chooses_onednn: whether it turns oneDNN on or off itself instead of TensorFlow.
        settings: further arguments of the class.
    """

    home: str
    leagues: tuple[str, ...]
    about: str
    onednn: str | None = None
    package: str = "tensorflow"
    needs_compiler: bool = False
    chooses_onednn: bool = False
    settings: Mapping[str, Any] = {}

    def make(self, workload: Workload, data_dir: str, scratch: Path) -> Contestant:
        """Import the class, and with it the framework; return a new contestant."""
        module, _, name = self.home.partition(":")
        made_by = getattr(importlib.import_module(module), name)
        return made_by(workload, data_dir, scratch, **self.settings)

    @property
    def is_expert(self) -> bool:
        """Whether its settings are tuned."""
        return self.leagues == EXPERT

    def missing(self) -> str | None:
        """Return why it cannot run here; None if it can."""
        if importlib.util.find_spec(self.package) is None:
            return f"{self.package} is not installed: pip install 'cnnlab[bench]'"
        if self.needs_compiler and not any(map(shutil.which, ("g++", "clang++"))):
            return "no C++ compiler (g++ or clang++)"
        return None

    def environment(self, outside: Mapping[str, str], isa: str = "native") -> dict[str, str]:
        """Return the environment of its process; isa: a key of INSTRUCTION_SETS."""
        inside = {name: value for name, value in outside.items() if name != ONEDNN}
        inside.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")
        inside.update(INSTRUCTION_SETS[isa])
        onednn = self.onednn
        if onednn is None and isa == "avx2" and not self.chooses_onednn:
            onednn = "0"  # TensorFlow's own choice on a CPU without AVX-512
        return inside if onednn is None else {**inside, ONEDNN: onednn}


PLAIN = "scripts.bench.plain:PlainContestant"
KERAS = "scripts.bench.with_keras:KerasContestant"
KERAS_EXPERT = "Keras 3 `fit`, tensors, steps_per_execution"
TF_FUNCTION = "scripts.bench.with_tf_function:TfFunctionContestant"
TF_FUNCTION_EXPERT = "`tf.function` with the loop inside, data as tensors"
TORCH = "scripts.bench.with_torch:TorchContestant"
TORCH_EXPERT = "PyTorch, channels_last, fused optimizer, best thread count"


def _keras_expert(*, jit_compile: bool) -> dict[str, Any]:
    return {"jit_compile": jit_compile, "execution_secs": 0.1, "as_tensors": True}


# The first writes the start file of the comparison of losses.
CONTESTANTS: Final[dict[str, Entry]] = {
    "cnnlab": Entry(
        "scripts.bench.with_cnnlab:CnnlabContestant",
        tuple(LEAGUES),
        "cnnlab, its defaults",
        chooses_onednn=True,
    ),
    "plain": Entry(PLAIN, INSTALLED, "plain loop with feed_dict"),
    "keras": Entry(KERAS, INSTALLED, "Keras 3 `fit`, NumPy arrays"),
    "keras-jit": Entry(
        KERAS, INSTALLED, "Keras 3 `fit`, NumPy arrays, XLA", settings={"jit_compile": True}
    ),
    "tf-function": Entry(TF_FUNCTION, INSTALLED, "`tf.function` a step, tf.data"),
    "torch": Entry(TORCH, INSTALLED, "PyTorch, eager", package="torch"),
    "plain-onednn-on": Entry(PLAIN, EXPERT, "plain loop, oneDNN on", "1"),
    "keras-expert": Entry(
        KERAS, EXPERT, KERAS_EXPERT, "1", settings=_keras_expert(jit_compile=False)
    ),
    "keras-expert-jit": Entry(
        KERAS, EXPERT, f"{KERAS_EXPERT}, XLA", "1", settings=_keras_expert(jit_compile=True)
    ),
    "tf-function-expert": Entry(
        TF_FUNCTION, EXPERT, TF_FUNCTION_EXPERT, "1", settings={"is_expert": True}
    ),
    "tf-function-expert-jit": Entry(
        TF_FUNCTION,
        EXPERT,
        f"{TF_FUNCTION_EXPERT}, XLA",
        "1",
        settings={"is_expert": True, "jit_compile": True},
    ),
    "torch-expert": Entry(
        TORCH, EXPERT, TORCH_EXPERT, package="torch", settings={"is_expert": True}
    ),
    "torch-compile": Entry(
        TORCH,
        EXPERT,
        f"{TORCH_EXPERT}, `torch.compile`",
        package="torch",
        needs_compiler=True,
        settings={"is_expert": True, "compiles": True},
    ),
    "keras-onednn-off": Entry(KERAS, ONEDNN_OFF, "Keras 3 `fit`, oneDNN off", "0"),
    "plain-onednn-off": Entry(PLAIN, ONEDNN_OFF, "plain loop, oneDNN off", "0"),
}
