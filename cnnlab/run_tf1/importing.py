"""The import of old modules: a finder that knows what stands in for each.

`import tensorflow.contrib.slim as slim`, `from keras.layers.core import Dense` and the like find a
module here before Python looks for a file.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from cnnlab.run_tf1.noted import is_library, stands_in
from cnnlab.run_tf1.overlay import Lazy, MissingModule, OldModule, missing

_KERAS: Final = "tf_keras.api._v1.keras"
# Keras's own files, whose names programs imported, and the public module that has their names.
_KERAS_FILES: Final = {
    "layers": "layers",
    "engine": "layers",
    "legacy": "layers",
    "utils": "utils",
    "backend": "backend",
    "preprocessing": "preprocessing",
    "applications": "applications",
    "objectives": "losses",
    "optimizers": "optimizers",
    "callbacks": "callbacks",
    "models": "models",
    "datasets": "datasets",
}
# Parents without a module of their own: `import tensorflow.contrib.learn.python.learn`.
_GONE_PARENTS: Final = ("tensorflow.contrib", "tensorflow.examples", "tensorflow.models")
_KERAS_PARENTS: Final = ("keras", "tensorflow.keras", "tensorflow.contrib.keras")

_IMPORTERS: Final = (str(Path(__file__).parent), str(Path(importlib.__file__).parent))

MakeModule = Callable[[], Any]


class OldFinder(MetaPathFinder):
    """Finds the modules that stand in for old ones.

    Args:
        modules: from the full name of an old module to a function that makes it.
        keras_overlays: from the name of a module of Keras, as in "datasets.mnist", to stand-ins.
    """

    def __init__(self, modules: dict[str, MakeModule], keras_overlays: dict[str, Any]) -> None:
        self._modules = modules
        self._keras_overlays = keras_overlays

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of an old module; None: Python looks elsewhere."""
        if fullname in self._modules:
            return self._spec(fullname, self._modules[fullname])
        for parent in _KERAS_PARENTS:
            if fullname == parent or fullname.startswith(f"{parent}."):
                if parent == "keras" and _imported_by_library():
                    return None  # TensorFlow's own import of Keras 3
                return self._spec(fullname, functools.partial(self._keras, fullname, parent))
        if fullname == "tensorflow.estimator" or fullname.startswith(_GONE_PARENTS):
            raise missing(fullname, MissingModule)
        return None

    def _spec(self, fullname: str, make: MakeModule) -> ModuleSpec:
        return ModuleSpec(fullname, _Loader(make), is_package=True)

    def _keras(self, fullname: str, parent: str) -> Any:
        """Return today's module for one of Keras 2, or raise the error that it is gone."""
        name = fullname.removeprefix(parent).removeprefix(".")
        if parent != "tensorflow.keras":
            stands_in(parent, "tf_keras (Keras 2)")
        module = keras_module(name)
        if module is None:
            first, _, rest = name.partition(".")
            names = [_KERAS_FILES.get(first, ""), f"{_KERAS_FILES.get(first, '')}.{rest}"]
            found = [keras_module(each) for each in reversed(names) if each]
            module = next((each for each in found if each is not None), None)
            if module is None:
                raise missing(fullname, MissingModule)
        stand_ins = dict(self._keras_overlays.get(name, {}))
        for child in _children(name, self._keras_overlays):
            stand_ins[child] = Lazy(
                functools.partial(importlib.import_module, f"{fullname}.{child}")
            )
        return OldModule(fullname, stand_ins, module)


def _children(name: str, modules: Iterable[str]) -> set[str]:
    """Return the next parts of the modules' names that begin with a name ("": any)."""
    start = f"{name}." if name else ""
    return {
        each.removeprefix(start).partition(".")[0] for each in modules if each.startswith(start)
    }


def keras_module(name: str) -> Any:
    """Return a public module of tf_keras's version 1, as in "layers"; None: there is none."""
    try:
        return importlib.import_module(f"{_KERAS}.{name}" if name else _KERAS)
    except ModuleNotFoundError:
        return None


class _Loader(Loader):
    def __init__(self, make: MakeModule) -> None:
        self._make = make

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._make()

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: a stand-in is complete when it is made."""


def _imported_by_library() -> bool:
    """Return whether the code that imports is an installed package's."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(("<frozen", *_IMPORTERS)):
            return is_library(file)
        frame = frame.f_back
    return False
