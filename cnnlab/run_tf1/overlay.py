"""Modules as an old program knew them: stand-ins first, then what today's module still has."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.old_names import replacement_of
from cnnlab.run_tf1.noted import program_line, stands_in

# Code of these packages sees today's TensorFlow, not the old one.
_LIBRARIES: Final = frozenset(
    [
        "tensorflow",
        "tf_keras",
        "keras",
        "tensorboard",
        "tensorflow_datasets",
        "tensorflow_hub",
        "tensorflow_probability",
        "tensorflow_model_optimization",
        "tf2onnx",
    ]
)


importable: set[str] = set()  # full names of the old modules that can be imported


class MissingSymbol(CnnlabError, AttributeError):  # noqa: N818
    """A name that TensorFlow 1 had, and that nothing stands in for."""


class MissingModule(CnnlabError, ImportError):  # noqa: N818
    """A module that TensorFlow 1 had, and that nothing stands in for."""


class StandIn(NamedTuple):
    """What stands in for an old name.

    value: the object that the program gets.
    new: what it is, for the program's reader, as in "tf.summary.scalar"; "" where it is the same
        thing under the same name.
    """

    value: Any
    new: str = ""


class OldModule(ModuleType):
    """A module of an old program.

    Args:
        name: its full name, as in "tensorflow.contrib.layers".
        stand_ins: what it has of its own: a value, or a `StandIn`; a function without arguments in
            a `Lazy` is called at the first use.
        beneath: the module of today that has all other names; None: there are no others.
        for_libraries: the module that code of TensorFlow itself sees; None: this one.
    """

    def __init__(
        self,
        name: str,
        stand_ins: Mapping[str, Any],
        beneath: Any = None,
        for_libraries: Any = None,
    ) -> None:
        super().__init__(name, f"{name} of TensorFlow 1, as cnnlab run-tf1 provides it.")
        vars(self).update(
            _stand_ins=dict(stand_ins), _beneath=beneath, _for_libraries=for_libraries
        )
        # Only TensorFlow's own has files below it that a program may import.
        self.__path__: list[str] = list(getattr(for_libraries, "__path__", []))

    def __getattr__(self, name: str) -> Any:
        mine = vars(self)
        if mine["_for_libraries"] is not None and _caller_is_library():
            return getattr(mine["_for_libraries"], name)
        if name in mine["_stand_ins"]:
            return self._stand_in(name)
        if mine["_beneath"] is not None:
            try:
                return getattr(mine["_beneath"], name)
            except AttributeError:
                pass
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        if full in importable:
            return importlib.import_module(full)
        if full in sys.modules:
            return sys.modules[full]
        raise missing(f"{self.__name__}.{name}")

    def _stand_in(self, name: str) -> Any:
        mine = vars(self)
        found = mine["_stand_ins"][name]
        if isinstance(found, Lazy):
            found = mine["_stand_ins"][name] = found.make()
        if isinstance(found, StandIn):
            stands_in(shown(f"{self.__name__}.{name}"), found.new or "the same")
            found = found.value
        mine[name] = found
        return found

    def __dir__(self) -> list[str]:
        mine = vars(self)
        return sorted({*super().__dir__(), *mine["_stand_ins"], *dir(mine["_beneath"])})


class Lazy(NamedTuple):
    """A stand-in that is made at its first use."""

    make: Callable[[], Any]


def missing(name: str, kind: type[CnnlabError] = MissingSymbol) -> CnnlabError:
    """Return the error of an old name that nothing stands in for, in one line."""
    place = program_line()
    text = f"{shown(name)} is not in today's TensorFlow, and nothing stands in for it"
    if advice := replacement_of(shown(name)):
        text += f": {advice}"
    return kind(f"{place}: {text}" if place else text)


def shown(name: str) -> str:
    """Return a full name as programs write it: "tf.layers" for "tensorflow.layers"."""
    return f"tf.{name.removeprefix('tensorflow.')}" if name.startswith("tensorflow.") else name


def _caller_is_library() -> bool:
    """Return whether the code that reads an attribute belongs to a library of TensorFlow's."""
    name = sys._getframe(2).f_globals.get("__name__") or ""
    return name.partition(".")[0] in _LIBRARIES
