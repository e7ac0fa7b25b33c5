"""`arg_scope` of tf.contrib.framework and slim: default arguments for calls inside a block."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Scope = dict[str, dict[str, Any]]

_stack: list[Scope] = [{}]


def add_arg_scope(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose default arguments `arg_scope` can set."""

    @functools.wraps(function)
    def with_scope(*args: Any, **kwargs: Any) -> Any:
        defaults = _stack[-1].get(key_of(with_scope), {})
        return function(*args, **{**defaults, **kwargs})

    with_scope._key_op = f"{function.__module__}.{function.__qualname__}"  # type: ignore[attr-defined]
    return with_scope


def key_of(function: Any) -> str:
    """Return the key of a function in a scope."""
    return str(getattr(function, "_key_op", function))


def has_arg_scope(function: Any) -> bool:
    """Return whether `arg_scope` can set arguments of a function."""
    return hasattr(function, "_key_op")


def current_arg_scope() -> Scope:
    """Return the defaults that hold now."""
    return _stack[-1]


@contextmanager
def arg_scope(list_ops_or_scope: Any, **kwargs: Any) -> Iterator[Scope]:
    """Set default arguments of functions inside the block.

    Args:
        list_ops_or_scope: functions; or a scope that an earlier `arg_scope` yielded.
        **kwargs: the arguments.

    Raises:
        ValueError: a function does not take part, or a scope was passed with arguments.
    """
    if isinstance(list_ops_or_scope, Mapping):
        if kwargs:
            raise ValueError(
                "When attempting to re-use a scope by suppling a dictionary, kwargs must be empty."
            )
        scope = {name: dict(defaults) for name, defaults in list_ops_or_scope.items()}
    else:
        scope = {name: dict(defaults) for name, defaults in _stack[-1].items()}
        for function in _functions(list_ops_or_scope):
            if not has_arg_scope(function):
                raise ValueError(f"{function} is not decorated with @add_arg_scope")
            scope.setdefault(key_of(function), {}).update(kwargs)
    _stack.append(scope)
    try:
        yield scope
    finally:
        _stack.pop()


def _functions(functions: Any) -> Iterable[Any]:
    if not isinstance(functions, list | tuple):
        raise TypeError("list_ops_or_scope must either be a list/tuple or reused scope (i.e. dict)")
    return functions


def arg_scoped_arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the arguments that a scope can set."""
    code = function.__wrapped__.__code__  # type: ignore[attr-defined]
    return tuple(code.co_varnames[: code.co_argcount])
