"""Values that a program's source states: numbers, shapes, and the arrays of known data sets.

Nothing is executed: expressions are evaluated by the rules below, and any other is unknown.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Final

from cnnlab.port.full_names import FullNames, argument, dotted

MAX_LENGTH: Final = 1_000_000  # of a range that is evaluated


class UnknownError(Exception):
    """The value of an expression cannot be known from the source."""


@dataclass(frozen=True)
class KnownArray:
    """An array of a data set, or a part of one: what is known about it.

    Attributes:
        dataset: the name of the data set in cnnlab.
        shape: its shape; None where a length is unknown.
        low, high: the values of a black and a white pixel; None for labels.
    """

    dataset: str
    shape: tuple[int | None, ...]
    low: float | None = None
    high: float | None = None


_SHAPES: Final = {
    "mnist": (28, 28),
    "fashion_mnist": (28, 28),
    "cifar10": (32, 32, 3),
    "cifar100": (32, 32, 3),
}
_TRAINS: Final = {"mnist": 60000, "fashion_mnist": 60000, "cifar10": 50000, "cifar100": 50000}
_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_CALLS: Final[dict[str, Callable[..., Any]]] = {
    "int": int,
    "float": float,
    "len": len,
    "max": max,
    "min": min,
    "round": round,
    "abs": abs,
    "list": list,
    "tuple": tuple,
    "str": str,
    "bool": bool,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "numpy.ceil": math.ceil,
    "math.sqrt": math.sqrt,
    "numpy.sqrt": math.sqrt,
    "math.log": math.log,
    "numpy.floor": math.floor,
    "numpy.prod": math.prod,
    "math.exp": math.exp,
    "numpy.arange": range,
    "xrange": range,
    "numpy.int32": int,
    "numpy.float32": float,
}


def read_data_sets(dataset: str, validation_size: int = 5000) -> SimpleNamespace:
    """Return what `input_data.read_data_sets` of TensorFlow's tutorials returns."""

    def split(length: int) -> SimpleNamespace:
        images = KnownArray(dataset, (length, 784), 0.0, 1.0)
        return SimpleNamespace(
            images=images, labels=KnownArray(dataset, (length, 10)), num_examples=length
        )

    return SimpleNamespace(
        train=split(60000 - validation_size), validation=split(validation_size), test=split(10000)
    )


def load_data(dataset: str) -> tuple[tuple[KnownArray, KnownArray], tuple[KnownArray, KnownArray]]:
    """Return what `keras.datasets.NAME.load_data` returns."""

    def pair(length: int) -> tuple[KnownArray, KnownArray]:
        images = KnownArray(dataset, (length, *_SHAPES[dataset]), 0.0, 255.0)
        return images, KnownArray(dataset, (length,))

    return pair(_TRAINS[dataset]), pair(10000)


class Evaluator:
    """Evaluates expressions of a program, as far as its source states their values."""

    def __init__(self, names: FullNames) -> None:
        self._names = names

    def value(self, node: ast.AST | None, known: Mapping[str, Any]) -> Any:
        """Return the value of an expression.

        Args:
            node: the expression.
            known: the values of the program's variables.

        Raises:
            UnknownError: it depends on something that the source does not state.
        """
        try:
            return self._value(node, known)
        except UnknownError:
            raise
        except Exception as error:  # as the expression itself would raise
            raise UnknownError(str(error)) from error

    def get(self, node: ast.AST | None, known: Mapping[str, Any], default: Any = None) -> Any:
        """Return the value of an expression, or `default` if it is unknown."""
        try:
            return self.value(node, known)
        except UnknownError:
            return default

    def _value(self, node: ast.AST | None, known: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                if node.id in known:
                    return known[node.id]
            case ast.Tuple() | ast.List():
                items = [self._value(item, known) for item in node.elts]
                return tuple(items) if isinstance(node, ast.Tuple) else items
            case ast.UnaryOp(op=ast.USub()):
                return -self._value(node.operand, known)
            case ast.BinOp():
                return self._binary(node, known)
            case ast.Compare(ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return _COMPARE[type(op)](self._value(node.left, known), self._value(right, known))
            case ast.IfExp():
                chosen = node.body if self._value(node.test, known) else node.orelse
                return self._value(chosen, known)
            case ast.Attribute():
                return self._attribute(node, known)
            case ast.Subscript():
                return self._subscript(node, known)
            case ast.Call():
                return self._call(node, known)
        raise UnknownError

    def _binary(self, node: ast.BinOp, known: Mapping[str, Any]) -> Any:
        left, right = self._value(node.left, known), self._value(node.right, known)
        function = _BINARY.get(type(node.op))
        if function is None:
            raise UnknownError
        if isinstance(left, KnownArray) and isinstance(right, int | float):
            if left.low is None or left.high is None:
                return left
            return replace(left, low=function(left.low, right), high=function(left.high, right))
        if isinstance(right, KnownArray) and isinstance(left, int | float):
            if right.low is None or right.high is None:
                return right
            return replace(right, low=function(left, right.low), high=function(left, right.high))
        return function(left, right)

    def _attribute(self, node: ast.Attribute, known: Mapping[str, Any]) -> Any:
        full, text = self._names.of(node), dotted(node)
        if text is not None and text in known:
            return known[text]
        if full == "sys.argv":
            return [""]  # the program is run without arguments
        if full in ("math.e", "math.pi", "numpy.pi", "numpy.e"):
            return math.e if full.endswith("e") else math.pi
        owner = self._value(node.value, known)
        if isinstance(owner, KnownArray) and node.attr in ("shape", "ndim"):
            return owner.shape if node.attr == "shape" else len(owner.shape)
        if isinstance(owner, SimpleNamespace) and hasattr(owner, node.attr):
            return getattr(owner, node.attr)
        raise UnknownError

    def _subscript(self, node: ast.Subscript, known: Mapping[str, Any]) -> Any:
        owner = self._value(node.value, known)
        if isinstance(owner, KnownArray):
            return replace(
                owner, shape=(self._length_of(node.slice, owner, known), *owner.shape[1:])
            )
        if isinstance(node.slice, ast.Slice):
            bounds = (node.slice.lower, node.slice.upper)
            lower, upper = (None if b is None else self._value(b, known) for b in bounds)
            return owner[lower:upper]
        return owner[self._value(node.slice, known)]

    def _length_of(self, part: ast.expr, owner: KnownArray, known: Mapping[str, Any]) -> int | None:
        """Return the length of `owner[part]`; None: unknown."""
        if not isinstance(part, ast.Slice) or owner.shape[0] is None:
            return None
        try:
            bounds = (part.lower, part.upper)
            lower, upper = (None if b is None else self._value(b, known) for b in bounds)
            return len(range(owner.shape[0])[lower:upper])
        except (UnknownError, TypeError):
            return None

    def _call(self, node: ast.Call, known: Mapping[str, Any]) -> Any:
        full = self._names.of_call(node)
        if full.endswith(("input_data.read_data_sets", ".mnist.read_data_sets")):
            text = ast.unparse(node).lower()
            size = self.get(argument(node, None, "validation_size"), known, 5000)
            return read_data_sets("fashion_mnist" if "fashion" in text else "mnist", size)
        if full.startswith("keras.datasets.") and full.endswith(".load_data"):
            return load_data(full.split(".")[2])
        if isinstance(node.func, ast.Attribute):
            try:
                owner = self._value(node.func.value, known)
            except UnknownError:
                pass
            else:
                return self._method(owner, node, known)
        arguments = [self._value(item, known) for item in node.args]
        if full.startswith("numpy.") and arguments and isinstance(arguments[0], KnownArray):
            return self._of_array(full.removeprefix("numpy."), arguments)
        if "to_categorical" in full and isinstance(arguments[0], KnownArray):
            return replace(arguments[0], shape=(arguments[0].shape[0], None))
        if full == "len" and isinstance(arguments[0], KnownArray):
            return arguments[0].shape[0]
        if full in ("range", "xrange"):
            found = range(*arguments)
            if len(found) > MAX_LENGTH:
                raise UnknownError
            return found
        if full == "zip":
            return list(zip(*arguments, strict=False))
        if full in _CALLS and not node.keywords:
            return _CALLS[full](*arguments)
        raise UnknownError

    def _method(self, owner: Any, node: ast.Call, known: Mapping[str, Any]) -> Any:
        """Return the result of a method of a known value."""
        assert isinstance(node.func, ast.Attribute)
        name = node.func.attr
        if isinstance(owner, SimpleNamespace) and name == "next_batch":
            length = self.value(argument(node, 0, "batch_size"), known)
            shapes = ((length, *array.shape[1:]) for array in (owner.images, owner.labels))
            arrays = (owner.images, owner.labels)
            return tuple(replace(a, shape=s) for a, s in zip(arrays, shapes, strict=True))
        if isinstance(owner, KnownArray):
            return self._of_array(name, [owner, *(self.get(item, known) for item in node.args)])
        raise UnknownError

    @staticmethod
    def _of_array(name: str, arguments: list[Any]) -> KnownArray:
        """Return the result of a NumPy function of an array that keeps its values."""
        array: KnownArray = arguments[0]
        if name in ("reshape", "resize"):
            given = arguments[1] if isinstance(arguments[1], list | tuple) else arguments[1:]
            first = array.shape[0] if given[0] in (-1, None) else given[0]
            return replace(array, shape=(first, *given[1:]))
        if name in ("expand_dims",):
            return replace(array, shape=(*array.shape, 1))
        if name in ("astype", "array", "asarray", "copy", "float32", "ravel", "squeeze", "flatten"):
            return array
        if name in ("divide", "multiply", "subtract", "add"):
            function = {"divide": operator.truediv, "multiply": operator.mul}.get(name)
            function = function or (operator.sub if name == "subtract" else operator.add)
            if array.low is not None and array.high is not None:
                low, high = (function(value, arguments[1]) for value in (array.low, array.high))
                return replace(array, low=low, high=high)
            return array
        raise UnknownError
