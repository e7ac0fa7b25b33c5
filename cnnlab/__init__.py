"""cnnlab: CNNs on CIFAR- and MNIST-class data, trained the TensorFlow-1 way.

    from cnnlab import Train
    Train().train(save_dir='./save', batch_size=500)

Importing this package does not import TensorFlow.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.config import Config
    from cnnlab.errors import CnnlabError, DataError, UsageError
    from cnnlab.hooks import Hook
    from cnnlab.train import Train

__version__ = "0.1.0"
__all__ = ["CnnlabError", "Config", "DataError", "Hook", "Train", "UsageError", "layers"]

_HOMES = {
    "CnnlabError": "cnnlab.errors",
    "Config": "cnnlab.config",
    "DataError": "cnnlab.errors",
    "Hook": "cnnlab.hooks",
    "Train": "cnnlab.train",
    "UsageError": "cnnlab.errors",
}

# As a command, Ctrl-C ends the process quietly until `cli.run` takes signals over; Python's own way
# would be a traceback out of the middle of an import.
_IS_COMMAND = os.path.basename(sys.argv[0]) == "cnnlab" or (
    sys.argv[0] == "-m" and any(word.startswith("cnnlab.") for word in sys.orig_argv)
)
if _IS_COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def __getattr__(name: str) -> Any:
    """Import the public names at their first use, so that each command imports only its own."""
    if name == "layers":
        return importlib.import_module("cnnlab.models.layers")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module cnnlab has no attribute {name}")
