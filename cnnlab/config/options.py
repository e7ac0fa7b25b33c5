"""Declare, parse, check and explain the options of every command.

An option is a field of a frozen pydantic dataclass, declared with `option()`. That one place has
its type, range, unit, default and help text. Parsing, errors and `--help` are derived from it.
Nothing here imports TensorFlow, so a mistyped flag is reported at once.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.words import ALIASES
from cnnlab.config.values import (
    FLOAT32_MAX,
    FLOAT32_MIN,
    admitted_types,
    beyond_float32,
    meant_by,
    plain,
    range_of,
    type_name,
    words_of,
)
from cnnlab.config.yaml_text import parse_yaml

STRICT = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

OPTIONS_PAGE = "docs/options.md"

OptionsT = TypeVar("OptionsT", bound="Options")


def option(
    default: Any,
    help_text: str,
    *,
    default_text: str = "",
    unit: str = "",
    group: str = "other",
    everyday: bool = False,
    shapes_result: bool = True,
    is_path: bool = False,
    **limits: Any,
) -> Any:
    """Declare one option.

    Args:
        default: the value if the flag is absent.
        help_text: the text for `--help`: one line that says what the option does, then one line for
            each choice that needs an explanation.
        default_text: how `--help` describes the default, where the value itself says too little.
        unit: the unit of a number, as in "images" or "seconds".
        group: the heading that `--help` lists the option under.
        everyday: whether `--help` lists the option where a command inherits it. `--help=all` lists
            every option.
        shapes_result: whether the option can change the weights of a run. A run can only be resumed
            with the same values of these options.
        is_path: whether a text is the path of a file or folder, so that `~` is the home folder.
        **limits: the range, in pydantic's words: ge, gt, le, lt, min_length.
    """
    extra: Any = {
        "default_text": default_text,
        "unit": unit,
        "group": group,
        "everyday": everyday,
        "shapes_result": shapes_result,
        "is_path": is_path,
    }
    return pydantic.Field(default, description=help_text, json_schema_extra=extra, **limits)


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Options:
    """The options of every command."""

    json: bool = option(
        False,
        "print one JSON document on stdout, and nothing else there",
        group="output",
        everyday=True,
        shapes_result=False,
    )
    quiet: bool = option(
        False,
        "print no progress and no notes on stderr; the result and errors remain",
        group="output",
        everyday=True,
        shapes_result=False,
    )
    debug: bool = option(
        False, "show the traceback of an error", group="output", shapes_result=False
    )


def fields_of(options_class: type) -> dict[str, Any]:
    """Return the pydantic FieldInfo of each option by name, in the order of declaration."""
    return dict(options_class.__pydantic_fields__)  # type: ignore[attr-defined]


def switches_of(options_class: type) -> list[str]:
    """Return the names of the options that may be True or False."""
    fields = fields_of(options_class)
    return [name for name in fields if bool in admitted_types(fields[name].annotation)]


def full_names(values: Mapping[str, Any], options_class: type) -> dict[str, Any]:
    """Return the values with each alias of an option replaced by the option's name, as lr.

    Raises:
        UsageError: an option is given twice, by its name and by an alias.
    """
    found: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for given, value in values.items():
        name = full_name(given, options_class)
        if name in found:
            both = f"--{spelled[name]} and --{given}"
            raise UsageError(f"{both} are the same option; give one of them")
        found[name], spelled[name] = value, given
    return found


def full_name(name: str, options_class: type) -> str:
    """Return the option that an alias stands for; any other name as it is."""
    known = fields_of(options_class)
    return ALIASES[name] if name not in known and ALIASES.get(name) in known else name


def check_names(values: Mapping[str, Any], options_class: type, where: str) -> None:
    """Check that every name is a known option.

    Args:
        values: option name to value.
        options_class: the class that knows the options.
        where: the source of the values in messages, as in "the command line".

    Raises:
        UsageError: names the first unknown option, its source and the closest known option.
    """
    known = fields_of(options_class)
    for name in values:
        if full_name(name, options_class) not in known:
            is_flag = where == "the command line"
            dashes, elsewhere = ("--", "see --help") if is_flag else ("", f"see {OPTIONS_PAGE}")
            hint = nearest(name, known).replace("mean ", f"mean {dashes}")
            raise UsageError(f"unknown option {dashes}{name} in {where}{hint or f'; {elsewhere}'}")


def parse_text(name: str, text: str, options_class: type) -> Any:
    """Convert the text of a flag to a value for its option.

    Lists and mappings are parsed as YAML, as in `--augment='[flip]'`. All else stays text, which
    `build` converts later.

    Raises:
        UsageError: the text of a list or mapping is not valid YAML.
    """
    admitted = admitted_types(fields_of(options_class)[name].annotation)
    if list in admitted or dict in admitted:
        return parse_yaml(text, f"--{name}={text[:100]}")
    return text


def normalized(options_class: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in Python's own types, as the options mean them, not yet checked.

    Raises:
        UsageError: an option is unknown, or a value is of a kind that no option takes.
    """
    check_names(values, options_class, "the options")
    found = {}
    for name, value in full_names(values, options_class).items():
        field = fields_of(options_class)[name]
        try:
            meant = meant_by(plain(value), field.annotation)
        except TypeError as error:
            raise UsageError(f"--{name}={ascii(value)[:100]} is not valid: {error}") from error
        is_path = field.json_schema_extra["is_path"] and isinstance(meant, str)
        found[name] = os.path.expanduser(meant) if is_path else meant
    return found


def build(options_class: type[OptionsT], values: Mapping[str, Any]) -> OptionsT:
    """Create the options from a mapping of name to value, and check every value.

    Raises:
        UsageError: names the option, its value and the values that it takes, in one line.
    """
    values, fields = normalized(options_class, values), fields_of(options_class)
    for name, value in values.items():
        if isinstance(value, bool) and bool not in admitted_types(fields[name].annotation):
            raise UsageError(f"--{name}={value} is not valid: it is not a switch")
    try:
        options = options_class(**values)
    except pydantic.ValidationError as error:
        raise UsageError(_explain(error, options_class)) from error
    for name, value in as_dict(options).items():
        number = beyond_float32(value) if fields[name].json_schema_extra["shapes_result"] else None
        if number is not None:
            raise UsageError(
                f"--{name}={str(value)[:100]} is not valid: training computes in float32, and "
                f"{number} is not 0 or from {FLOAT32_MIN:.2g} to {FLOAT32_MAX:.2g} in size"
            )
    return options


def replace(options: OptionsT, **changes: Any) -> OptionsT:
    """Return a copy of the options with some values changed and all values checked again."""
    return build(type(options), {**as_dict(options), **changes})


def as_dict(options: Options) -> dict[str, Any]:
    """Return a mapping of name to value of every option."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}


def _explain(error: pydantic.ValidationError, options_class: type) -> str:
    problem = error.errors()[0]
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "it must", 1)
    if not problem["loc"]:
        return message
    name = str(problem["loc"][0])
    field = fields_of(options_class)[name]
    right = [type_name(field.annotation), range_of(field), field.json_schema_extra["unit"]]
    wanted = ", ".join(part for part in right if part)
    value = str(problem["input"])[:100]
    hint = nearest(value, words_of(field.annotation)) if problem["type"] == "literal_error" else ""
    return f"--{name}={value} is not valid: {message} (takes {wanted}){hint}"
