"""Arguments that a recipe gives to a function of ours, checked against its signature."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import pydantic

from cnnlab.base.errors import UsageError

_PASSED_BY_US = ("training", "keys")


def options_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A function's options by name: its parameters with a default, or that are keyword-only."""
    return {
        p.name: p
        for p in inspect.signature(function).parameters.values()
        if p.name not in _PASSED_BY_US
        and (p.kind is p.KEYWORD_ONLY or (p.default is not p.empty and p.kind is not p.VAR_KEYWORD))
    }


def check(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """All options of a function: those given, and the defaults of the rest.

    Their annotations say type and range, as in `pixels: Annotated[int, Field(ge=1)] = 4`; one
    without an annotation takes anything.

    Args:
        function: a function of ours, or of a user.
        given: name to value.
        where: the start of an error message, as in "--augment: flip".

    Raises:
        UsageError: one line naming an argument that is unknown, missing or out of range.
    """
    parameters = inspect.signature(function).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    known = options_of(function)
    for name in given:
        if name not in known and not takes_any:
            takes = ", ".join(known) or "none"
            raise UsageError(f"{where} takes no {name}; it takes: {takes}")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError:  # annotations that mean something to the user's type checker only
        hints = {}
    checked = dict(given)
    for name, parameter in known.items():
        if name not in given:
            if parameter.default is parameter.empty:
                raise UsageError(f"{where} wants {name}")
            checked[name] = parameter.default
            continue
        try:
            adapter = pydantic.TypeAdapter(hints.get(name, Any))
        except pydantic.PydanticSchemaGenerationError:
            continue
        try:
            checked[name] = adapter.validate_python(given[name], strict=True)
        except pydantic.ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Input should be ")
            raise UsageError(f"{where}: {name}={given[name]} is not valid: {message}") from error
    return checked
