"""Functions of the user's own: named in an option, loaded from their file, found again later.

An option names a function as FILE.py:NAME or PACKAGE.MODULE:NAME. Python code passes the function
itself. In both cases the run records the same name, and the files that the function needs.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cnnlab.base.definitions import definition_of, first_action, imported_modules
from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.user_code import users_line

_LIBRARIES = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib")
)
_PACKAGE = Path(__file__).resolve().parent.parent


class OwnFunction(NamedTuple):
    """A function of the user's, and where it comes from.

    Attributes:
        function: the function, or another object that can be called.
        name: the name by which options and config.yaml know it, as in "my_net.py:net".
        files: the files that it needs: its own and those that it imports from the same folder.
            Each has its path relative to that folder, and its full path. Empty for a function of a
            notebook.
        source: FILE.py:NAME or PACKAGE.MODULE:NAME, from which `load` loads it; None if it cannot
            be loaded, because it is inside another function or in a notebook.
        folder: the folder of its files, or of its outermost package.
        is_script: whether its file is the program that ran; only its definitions may run again.
    """

    function: Callable[..., Any]
    name: str
    files: Mapping[str, Path]
    source: str | None
    folder: Path
    is_script: bool = False


def is_reference(name: object) -> bool:
    """Return whether a name has the form FILE.py:NAME or PACKAGE.MODULE:NAME."""
    return isinstance(name, str) and ":" in name.strip(":")


def describe(function: Callable[..., Any], name: str | None = None) -> OwnFunction:
    """Return what can be recorded of a function that Python code passes.

    Args:
        function: a function, a `functools.partial` of one, or an object that can be called.
        name: the name to record; default: the name of its file and its own.
    """
    inner = function.func if isinstance(function, functools.partial) else function
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    module = sys.modules.get(named.__module__)
    path = _file_of(module)
    home = named.__module__ if path is None or "." in named.__module__ else path.name
    reference = f"{home}:{named.__qualname__}"
    can_be_loaded = path is not None and _attribute(module, named.__qualname__) is function
    if name is None:
        # Of an object that can be called, and of a partial, the name would load something else.
        name = reference if inner is function and named is function else f"{reference}(...)"
    return OwnFunction(
        function,
        name,
        _files_of(module),
        reference if can_be_loaded else None,
        _root_of(module),
        named.__module__ == "__main__",
    )


# (folder, name of the module, name of the only definition that was run, if not all) to the module
# and the files that it needs.
Modules = dict[tuple[Path, str, str | None], tuple[types.ModuleType, dict[str, Path]]]


def load(
    reference: str,
    option: str,
    folder: Path | None = None,
    *,
    is_script: bool = False,
    modules: Modules | None = None,
) -> OwnFunction:
    """Load a function from its file.

    Args:
        reference: FILE.py:NAME or PACKAGE.MODULE:NAME.
        option: the option that has this value, for messages.
        folder: the folder that the file or package is in; default: the current folder.
        is_script: run only the definitions that the function needs, not the rest of the file.
        modules: what was imported before, which is not imported again; the module is added.

    Raises:
        UsageError: there is no such file, module or name, or the file fails when it is imported.
    """
    where = f"{option}={reference}"
    source, _, name = reference.rpartition(":")
    if source.endswith(".py"):
        path = ((folder or Path.cwd()) / Path(source).expanduser()).resolve()
        if not path.is_file():
            raise UsageError(f"{where}: there is no file {path}")
        module_name, root, source = path.stem, path.parent, path.name
    else:
        module_name, root = source, (folder or Path.cwd()).resolve()
    only = name if is_script else None
    key = (root, module_name, only)
    modules = {} if modules is None else modules
    if key not in modules:
        modules[key] = _import(module_name, root, where, is_file=source.endswith(".py"), only=only)
    module, files = modules[key]
    function = _attribute(module, name)
    if function is None:
        callables = [key for key, value in vars(module).items() if callable(value)]
        raise UsageError(f"{where}: {_file_of(module)} has no {name}{nearest(name, callables)}")
    if not callable(function):
        raise UsageError(f"{where}: it is {type(function).__name__}, not a function")
    reference = f"{source}:{name}"
    return OwnFunction(function, reference, files, reference, root, is_script)


def importable(own: OwnFunction, option: str) -> str:
    """Return FILE.py:NAME, with the file's full path, by which another process can load a function.

    Args:
        own: the function.
        option: what the function is, for messages.

    Raises:
        UsageError: no file has it under its name, or the file is a program that would run again.
    """
    cure = "write it as a function of a file of its own"
    if own.source is None:
        raise UsageError(f"{option}={own.name} cannot be loaded by other processes; {cure}")
    source, _, name = own.source.rpartition(":")
    path = own.folder / source
    if source.endswith(".py") and (line := first_action(path.read_bytes())) is not None:
        raise UsageError(
            f"{option}={own.name}: other processes import {path}, so line {line} would run there; "
            f"put it under if __name__ == '__main__', or {cure}"
        )
    return f"{path}:{name}" if source.endswith(".py") else own.source


def _import(
    name: str, root: Path, where: str, *, is_file: bool, only: str | None
) -> tuple[types.ModuleType, dict[str, Path]]:
    """Import a module whose folder, or whose package's folder, is `root`; also find its files.

    only: the name of which alone the definition is needed; None: run the whole file.
    """
    with _importing_from(root):
        try:
            if is_file:
                module = _import_file(name, root / f"{name}.py", only)
            else:
                module = importlib.import_module(name)
            return module, _files_of(module)
        # Whatever the user's file raises, its author must read. SystemExit too: it is a script.
        except (Exception, SystemExit) as error:
            place = users_line(error) or f"seen from {root}"
            if isinstance(error, SyntaxError):
                place = f"{error.filename}:{error.lineno}"
            message = f"{where}: {place}: {type(error).__name__}: {error}"
            raise UsageError(message) from error


def _import_file(name: str, path: Path, only: str | None) -> types.ModuleType:
    loaded = sys.modules.get(name)
    if loaded is not None and _file_of(loaded) != path:
        name = f"own_{name}"  # the name of a library, such as test.py
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        if only is None:
            spec.loader.exec_module(module)
        else:
            code = definition_of(only.partition(".")[0], path.read_bytes())
            exec(compile(code, path, "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importing_from(root: Path) -> Iterator[None]:
    """Search `root` first, and forget modules of its names, so that they are read again.

    Two runs may each have a copy of a file of the same name, and a file may have changed. Packages
    of `root` that are imported already stay. Other packages are back after the block, because the
    program goes on to import from them.
    """
    packages = {}
    here = {entry.stem for entry in root.iterdir()} if root.is_dir() else set()
    for name, module in list(sys.modules.items()):
        path = _file_of(module)
        if path is None or name == "__main__" or name.partition(".")[0] not in here:
            continue
        place = root.joinpath(*name.split("."))
        is_from_root = path.with_suffix("") in (place, place / "__init__")
        is_package = "." in name or hasattr(module, "__path__")
        if _is_own(path) and not (is_package and is_from_root):
            del sys.modules[name]
            if is_package:
                packages[name] = module
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    # Nothing is written beside the user's files, nor in a run directory.
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(str(root))
        sys.modules.update(packages)


def _attribute(module: types.ModuleType | None, name: str) -> Any:
    """Return the attribute of a dotted name; None if there is none."""
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _file_of(module: types.ModuleType | None) -> Path | None:
    """Return the file of a module; None for a notebook, the interpreter and compiled modules."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) and file.endswith(".py") else None


def _is_own(path: Path) -> bool:
    """Return whether a file is the user's: of no library and not of cnnlab."""
    return not any(path.is_relative_to(folder) for folder in (*_LIBRARIES, _PACKAGE))


def _root_of(module: types.ModuleType | None) -> Path:
    """Return the folder of a module or of its outermost package; without a file the current one."""
    if module is None or (path := _file_of(module)) is None:
        return Path.cwd()
    return path.parents[module.__name__.count(".")]


def _files_of(module: types.ModuleType | None) -> dict[str, Path]:
    """Return the files that a module needs, by their paths relative to their folder."""
    if module is None or (path := _file_of(module)) is None or not _is_own(path):
        return {}
    root = _root_of(module)
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        one = waiting.pop()
        file = _file_of(one)
        if file is None or not file.is_relative_to(root) or not _is_own(file):
            continue
        if (key := file.relative_to(root).as_posix()) in found:
            continue
        found[key] = file
        names = imported_modules(file.read_bytes(), one.__spec__.parent if one.__spec__ else "")
        names.add(one.__name__.rpartition(".")[0])  # its package
        waiting += [sys.modules[name] for name in sorted(names) if name in sys.modules]
    return dict(sorted(found.items()))
