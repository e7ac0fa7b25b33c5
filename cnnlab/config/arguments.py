"""Check the arguments that a recipe passes to a function against the function's signature."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import pydantic

from cnnlab.base.errors import UsageError
from cnnlab.config.values import admitted_types, meant_by, range_of, type_name

_PASSED_BY_US = ("training", "keys", "labels", "head_sizes")  # cnnlab passes these itself


def options_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return a function's options by name: parameters that are keyword-only or have a default."""
    return {
        p.name: p
        for p in inspect.signature(function).parameters.values()
        if p.name not in _PASSED_BY_US
        and (p.kind is p.KEYWORD_ONLY or (p.default is not p.empty and p.kind is not p.VAR_KEYWORD))
    }


def accepts(function: Callable[..., Any], name: str, value: Any) -> bool:
    """Return whether a function has an option of a name, which may have a value."""
    if name not in options_of(function):
        return False
    try:
        pydantic.TypeAdapter(_hints_of(function).get(name, Any)).validate_python(value, strict=True)
    except pydantic.ValidationError:
        return False
    except pydantic.PydanticSchemaGenerationError:
        pass
    return True


def describe_arguments(function: Callable[..., Any]) -> list[dict[str, str]]:
    """Return name, type, range and default of each option of a function, as `--help` has them."""
    hints = _hints_of(function)
    found = []
    for name, parameter in options_of(function).items():
        hint = hints.get(name, Any)
        marks = [mark for mark in typing.get_args(hint) if hasattr(mark, "metadata")]
        found.append(
            {
                "name": name,
                "type": type_name(hint),
                "range": " and ".join(filter(None, map(range_of, marks))),
                "default": "required"
                if parameter.default is parameter.empty
                else ("none" if parameter.default is None else str(parameter.default)),
            }
        )
    return found


def check(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check the given arguments and add the defaults of the others.

    Annotations give type and range, as in `pixels: Annotated[int, Field(ge=1)] = 4`. A parameter
    without an annotation accepts any value.

    Args:
        function: a function of cnnlab or of a user.
        given: argument name to value.
        where: the start of error messages, as in "--augment: flip".

    Returns:
        name to value of all options of the function.

    Raises:
        UsageError: names an argument that is unknown, missing or out of range, in one line.
    """
    parameters = inspect.signature(function).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    known = options_of(function)
    for name in given:
        if name not in known and not takes_any:
            takes = ", ".join(known) or "none"
            raise UsageError(f"{where} takes no {name}; it takes: {takes}")
    hints = _hints_of(function)
    checked = dict(given)
    for name, parameter in known.items():
        if name not in given:
            if parameter.default is parameter.empty:
                raise UsageError(f"{where} needs {name}")
            checked[name] = parameter.default
            continue
        hint = hints.get(name, Any)
        value = meant_by(given[name], hint)
        if isinstance(value, list) and admitted_types(hint) & {list, tuple} == {tuple}:
            value = tuple(value)  # options hold lists only
        checked[name] = value
        try:
            adapter = pydantic.TypeAdapter(hint)
        except pydantic.PydanticSchemaGenerationError:
            continue
        try:
            checked[name] = adapter.validate_python(value, strict=True)
        except pydantic.ValidationError as error:
            message = error.errors()[0]["msg"].replace("Input should", "it must", 1)
            raise UsageError(f"{where}: {name}={given[name]} is not valid: {message}") from error
    return checked


def _hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function by name."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    # The user's annotations need names that only a type checker imports, or an object has none.
    except (NameError, TypeError):
        return {}
