"""Fingerprints of a run's data and model, by which a run directory recognizes its own run.

config.yaml records them. Official, verified files and the models of `MODELS` have none, because the
options name them.
"""

from __future__ import annotations

import dis
import hashlib
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from cnnlab.base.own_functions import OwnFunction
from cnnlab.config.own_names import kind_of
from cnnlab.data.datasets import Split
from cnnlab.data.row_images import RowImages, batches_of
from cnnlab.data.training_data import TrainingData

_CODE = " code"
_DIGEST_BYTES = 16
_BATCH = 64  # images that are read at a time
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_CONTAINERS = (tuple, list, set, frozenset, dict, CodeType)
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF")
_STORES = ("STORE_GLOBAL", "STORE_DEREF")


def fingerprints_of(data: TrainingData, own: Mapping[str, OwnFunction]) -> dict[str, str]:
    """Return the fingerprints of a run, by what they are of.

    Args:
        data: the run's data. Images, labels, weights, class names and the order count.
        own: option to the user's function that it names, such as the model.
    """
    found = {
        f"{option}{_CODE}": fingerprint_of_code(function)
        for option, function in own.items()
        if kind_of(option) != "metrics"  # they do not shape the run
    }
    if (of_pictures := data.fingerprints()) is not None:
        found |= {
            "class names": _digest(_parts_of(data.spec.class_names, set(), {})),
            **of_pictures,
        }
    elif (dataset := data.unofficial) is not None:
        found["class names"] = _digest(_parts_of(dataset.spec.class_names, set(), {}))
        for fact, usual in (("targets", "classes"), ("image_range", None)):
            if (value := getattr(dataset.spec, fact)) != usual:
                found[fact.replace("_", " ")] = str(value)
        for name, split in vars(dataset).items():
            for kind, array in split._asdict().items() if isinstance(split, Split) else ():
                if array is not None:
                    found[f"{name} {kind}"] = _digest(_parts_of_array(array))
    return found


def differing_parts(earlier: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what differs between the fingerprints of two runs, for example "test labels"."""
    names = [*now, *(name for name in earlier if name not in now)]
    return [name for name in names if _differ(name, earlier.get(name), now.get(name))]


def _differ(name: str, there: str | None, here: str | None) -> bool:
    if name.endswith(_CODE) and there and here and there.split()[:-1] != here.split()[:-1]:
        return False  # another version of Python compiled it, so nothing is known
    return there != here


def fingerprint_of_code(own: OwnFunction) -> str:
    """Return a fingerprint of a function that comments, docstrings and line numbers do not change.

    It depends on the function's code and on what the code names in its own files: functions,
    classes, numbers, texts, tuples and arrays. What a library defines counts by its name.
    """
    inner = own.function.func if isinstance(own.function, partial) else own.function
    home = {name.removesuffix(".py").replace("/", ".") for name in own.files}
    home |= {name.removesuffix(".__init__") for name in home} | {getattr(inner, "__module__", "")}
    digest = _digest(_parts_of(own.function, home, {}))
    return f"{sys.implementation.cache_tag} -O{sys.flags.optimize} {digest}"


def _digest(parts: Iterator[Any]) -> str:
    """Return the digest of texts and of arrays of bytes."""
    total = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        content = part.encode("utf-8", "backslashreplace") if isinstance(part, str) else part
        total.update(f"{len(content)}:".encode())  # so that ("ab", "c") is not ("a", "bc")
        total.update(content)
    return total.hexdigest()


def _parts_of_array(array: Any) -> Iterator[Any]:
    """Yield what images, labels or weights consist of; of a stream, its facts."""
    if hasattr(array, "facts"):
        yield array.facts
        return
    yield f"{array.dtype.str} {array.shape}"
    if isinstance(array, RowImages):  # too large to be read as a whole
        for batch in batches_of(array, _BATCH):
            yield np.ascontiguousarray(batch).reshape(-1).view(np.uint8)
        return
    yield np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _parts_of(value: Any, home: set[str], seen: dict[int, Any]) -> Iterator[Any]:
    """Yield what a value consists of, as texts and arrays of bytes.

    Args:
        value: any object.
        home: the modules whose functions, classes and objects are entered.
        seen: id to object of those that were entered before; they are not entered again.
    """
    yield type(value).__qualname__
    if isinstance(value, _PLAIN):
        yield repr(value)
    elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        yield from _parts_of_array(np.asarray(value))
    else:
        if isinstance(value, FunctionType | type | ModuleType):
            yield value.__name__
        if not isinstance(value, _CONTAINERS):
            if id(value) in seen:
                return
            seen[id(value)] = value
        for part in _inside(value, home):
            yield from _parts_of(part, home, seen)


def _inside(value: Any, home: set[str]) -> list[Any]:
    """Return the values that an object consists of; none if a library defines it."""
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)  # its own order changes from process to process
    if isinstance(value, dict):
        return [part for item in value.items() for part in item]
    if isinstance(value, CodeType):
        # The arguments of instructions, because the constants include the docstring.
        steps = [(i.opname, i.argval) for i in dis.get_instructions(value)]
        return [value.co_name, value.co_varnames, value.co_argcount, steps]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, ModuleType):
        return _inside_module(value) if value.__name__ in home else []
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, type):
        return _inside_class(value) if value.__module__ in home else [value.__module__]
    if isinstance(value, FunctionType):
        return _inside_function(value) if value.__module__ in home else [value.__module__]
    kind = type(value)
    return [kind, getattr(value, "__dict__", {})] if kind.__module__ in home else [kind]


def _inside_module(module: ModuleType) -> list[Any]:
    """Return the functions, the classes and the plain values of a module."""
    members = [value for name, value in vars(module).items() if not name.startswith("__")]
    return [one for one in members if isinstance(one, (FunctionType, type, *_PLAIN))]


def _inside_class(kind: type) -> list[Any]:
    """Return the functions and the plain values of a class."""
    members = [getattr(member, "__func__", member) for member in vars(kind).values()]
    return [*kind.__bases__, *(one for one in members if isinstance(one, (FunctionType, *_PLAIN)))]


def _inside_function(function: FunctionType) -> list[Any]:
    """Return a function's code, its defaults, and what the code uses from outside."""
    outside = dict(function.__globals__)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    outside.update((name, cell.cell_contents) for name, cell in cells if _is_filled(cell))
    loaded, stored = _names(function.__code__, _LOADS), _names(function.__code__, _STORES)
    # A list or a variable that the function sets may be a record of its calls.
    used = [
        (name, outside[name])
        for name in sorted((loaded - stored) & outside.keys())
        if not isinstance(outside[name], list | dict | set)
    ]
    return [function.__code__, function.__defaults__, function.__kwdefaults__, used]


def _names(code: CodeType, operations: tuple[str, ...]) -> set[str]:
    """Return the names that these operations use in a code object and in those inside it."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname in operations}
    inner = [_names(part, operations) for part in code.co_consts if isinstance(part, CodeType)]
    return found.union(*inner)


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
