"""cnnlab: train CNNs on CIFAR- and MNIST-class data, the TensorFlow-1 way.

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

from cnnlab.base.version import __version__

if TYPE_CHECKING:
    from cnnlab.base.errors import CnnlabError, DataError, UsageError
    from cnnlab.base.tf1 import tf
    from cnnlab.config.config import Config
    from cnnlab.data.arrays import dataset_from_arrays
    from cnnlab.data.example_stream import streamed
    from cnnlab.layers.tower import random_key
    from cnnlab.models import register_model
    from cnnlab.models.head import add_head
    from cnnlab.models.pretrained.keras_weights import load_keras_weights
    from cnnlab.run.hook import Hook
    from cnnlab.train import Train

__all__ = [
    "CnnlabError",
    "Config",
    "DataError",
    "Hook",
    "Train",
    "UsageError",
    "__version__",
    "add_head",
    "dataset_from_arrays",
    "layers",
    "load_keras_weights",
    "random_key",
    "register_model",
    "streamed",
    "tf",
]

_HOMES = {
    "CnnlabError": "cnnlab.base.errors",
    "Config": "cnnlab.config.config",
    "DataError": "cnnlab.base.errors",
    "Hook": "cnnlab.run.hook",
    "Train": "cnnlab.train",
    "UsageError": "cnnlab.base.errors",
    "add_head": "cnnlab.models.head",
    "dataset_from_arrays": "cnnlab.data.arrays",
    "load_keras_weights": "cnnlab.models.pretrained.keras_weights",
    "random_key": "cnnlab.layers.tower",
    "register_model": "cnnlab.models",
    "streamed": "cnnlab.data.example_stream",
    "tf": "cnnlab.base.tf1",
}

# In a command, Ctrl-C ends the process without a message until `cli.run` handles signals. Otherwise
# Python would print a traceback from the middle of an import. SIGUSR1 must not end the process.
_IS_COMMAND = os.path.basename(sys.argv[0]) == "cnnlab" or (
    sys.argv[0] == "-m" and any(word.split(".")[0] == "cnnlab" for word in sys.orig_argv)
)
if _IS_COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
if _IS_COMMAND and hasattr(signal, "SIGUSR1"):
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that each command imports only what it needs."""
    if name == "layers":
        return importlib.import_module("cnnlab.layers")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module cnnlab has no attribute {name}")
