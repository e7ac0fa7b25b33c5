"""Changes to other packages' modules, made when a program imports them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

Change = Callable[[Any], None]

_changes: dict[str, Change] = {}  # full name of a module -> what to do with it


def after_import(changes: dict[str, Change]) -> None:
    """Call each function with its module: now, or as soon as the module is imported."""
    for name, change in changes.items():
        if name in sys.modules:
            change(sys.modules[name])
        else:
            _changes[name] = change
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds the modules that are changed, where Python finds them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that is changed; None: Python looks elsewhere."""
        change = _changes.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if change else None
        if change is None or spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            del _changes[fullname]
            change(module)

        vars(spec.loader)["exec_module"] = exec_module
        return spec
