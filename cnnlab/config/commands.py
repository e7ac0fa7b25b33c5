"""The console script: `cnnlab NAME ...` does the same as `python -m cnnlab.NAME ...`."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from cnnlab.base.errors import nearest
from cnnlab.base.printing import print_as_is
from cnnlab.base.version import __version__
from cnnlab.config.cli import complain, silence

COMMANDS: Final = {
    "train": "train a network, or resume a run",
    "launch": "train or evaluate with several processes on this machine",
    "evaluate": "measure a trained network on all images of a split",
    "predict": "name the class of image files",
    "report": "write one HTML page about a run",
    "bottleneck": "train a new head on the features of a trained network",
    "tune": "search for good options",
    "export": "write the network for other programs",
    "reproduce": "run recipes to their end and collect what they reach",
    "checkpoint": "list, rename and compare the variables of checkpoints",
    "run-tf1": "run an old program of TensorFlow 1, unchanged",
    "port": "say what to change in an old program, and write a first script",
    "data": "list, fetch and show data sets; check and arrange pictures",
}
# These print tables of what can be named in options; `cnnlab.catalogue` has all of them.
CATALOGUES: Final = {
    "models": "list the networks for --model, and their arguments",
    "recipes": "list the recipes for --config",
    "augmentations": "list the augmentations for --augment, and their arguments",
    "datasets": "list the data sets for --dataset",
}
_ALL: Final = {**COMMANDS, **CATALOGUES}


def main() -> None:
    """Run the console script. A command loads its own modules only."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        _print(_help_text())
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        _print(f"cnnlab {__version__}")
        sys.exit(0)
    if words[0] not in _ALL:
        hint = nearest(words[0], _ALL) or f"; known: {', '.join(_ALL)}"
        complain(f"unknown command {words[0]}{hint}")
        sys.exit(2)
    load_main(words[0])(words[1:])


def _print(text: str) -> None:
    """Print on stdout. Exit if its reader has gone, or with one line if its disk is full."""
    try:
        print_as_is(text)
    except BrokenPipeError:
        silence(sys.stdout)
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        silence(sys.stdout)
        complain(f"cannot write to stdout: {error.strerror}")
        sys.exit(1)


def load_main(command: str) -> Callable[[Sequence[str]], None]:
    """Return the function that runs a command with the words after its name."""
    if command in CATALOGUES:
        return partial(importlib.import_module("cnnlab.catalogue").main, command)
    name = f"cnnlab.{command.replace('-', '_')}"
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):  # a package has its command in __main__
        module = importlib.import_module(f"{name}.__main__")
    main: Callable[[Sequence[str]], None] = module.main
    return main


def _help_text() -> str:
    lines = [f"  {name:<14} {what}" for name, what in _ALL.items()]
    head = ["usage: cnnlab COMMAND [--name=value ...]", "", "commands:"]
    tail = ["", "cnnlab COMMAND --help explains a command, cnnlab --version prints the version."]
    return "\n".join([*head, *lines, *tail])
