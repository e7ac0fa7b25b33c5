"""What every command's options share: declaring, parsing, checking and explaining them.

An option is a field of a frozen pydantic dataclass, declared with `option()`. Its type, range,
unit, default and help stand in that one place; parsing, errors and `--help` are derived from it.
Nothing here imports TensorFlow, so a mistyped flag costs no start-up.
"""

from __future__ import annotations

import dataclasses
import textwrap
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import PydanticUndefined

from cnnlab.base.errors import UsageError, nearest
from cnnlab.config.yaml_text import parse_yaml

STRICT = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

LONGEST_HELP_LINE = 160  # characters; a longer one is broken

OptionsT = TypeVar("OptionsT", bound="Options")


def option(
    default: Any,
    help_text: str,
    *,
    unit: str = "",
    group: str = "other",
    shapes_result: bool = True,
    **limits: Any,
) -> Any:
    """Declare one option.

    Args:
        default: the value without a flag.
        help_text: one line for `--help`.
        unit: the unit of a number, as in "images" or "seconds".
        group: the heading under which `--help` lists it.
        shapes_result: whether another value may give other weights. A resumed run must have the
            same values for these; the rest may differ.
        **limits: ranges as pydantic has them: ge, gt, le, lt, min_length.
    """
    extra: Any = {"unit": unit, "group": group, "shapes_result": shapes_result}
    return pydantic.Field(default, description=help_text, json_schema_extra=extra, **limits)


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Options:
    """Options that every command has."""

    json: bool = option(
        False,
        "print one JSON document on stdout and nothing else there",
        group="output",
        shapes_result=False,
    )
    debug: bool = option(
        False, "show the traceback of an error", group="output", shapes_result=False
    )


def fields_of(options_class: type) -> dict[str, Any]:
    """The pydantic FieldInfo of each option, in the order of declaration."""
    return dict(options_class.__pydantic_fields__)  # type: ignore[attr-defined]


def switches_of(options_class: type) -> list[str]:
    """Names of the options that may be True or False."""
    fields = fields_of(options_class)
    return [name for name in fields if bool in admitted_types(fields[name].annotation)]


def check_names(values: Mapping[str, Any], options_class: type, where: str) -> None:
    """Refuse unknown option names.

    Raises:
        UsageError: naming the first unknown option, where it stands, and the nearest known one.
    """
    known = fields_of(options_class)
    for name in values:
        if name not in known:
            dashes = "--" if where == "the command line" else ""
            hint = nearest(name, known).replace("mean ", f"mean {dashes}")
            raise UsageError(f"unknown option {dashes}{name} in {where}{hint or '; see --help'}")


def parse_text(name: str, text: str, options_class: type) -> Any:
    """Turn a flag's text into the value that its option takes.

    Numbers and switches are left to pydantic; 'none' stands for None where the option admits it,
    and lists and mappings are written in YAML's flow style, as in `--augment='[flip]'`.
    """
    admitted = admitted_types(fields_of(options_class)[name].annotation)
    if type(None) in admitted and text.lower() in ("none", "null"):
        return None
    if list in admitted or dict in admitted:
        return parse_yaml(text, f"--{name}={text[:100]}")
    return text


def build(options_class: type[OptionsT], values: Mapping[str, Any]) -> OptionsT:
    """Make the options from a mapping, checking each value.

    Raises:
        UsageError: one line naming the option, the value and what would be right.
    """
    check_names(values, options_class, "the options")
    fields = fields_of(options_class)
    for name, value in values.items():
        if isinstance(value, str) and not _is_plain_text(value):
            raise UsageError(f"--{name}={value!a} holds a character that no name or path may have")
        if isinstance(value, bool) and bool not in admitted_types(fields[name].annotation):
            raise UsageError(f"--{name}={value} is not valid: it takes no yes or no")
    try:
        return options_class(**values)
    except pydantic.ValidationError as error:
        raise UsageError(_explain(error, options_class)) from error


def replace(options: OptionsT, **changes: Any) -> OptionsT:
    """A copy with some values changed, checked again."""
    return build(type(options), {**as_dict(options), **changes})


def as_dict(options: Options) -> dict[str, Any]:
    """Name to value of every option."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}


def help_text(options_class: type, usage: str, about: str) -> str:
    """The text of `--help`: every option with type, range, unit and default, by group."""
    groups: dict[str, list[str]] = {}
    for name, field in fields_of(options_class).items():
        extra = field.json_schema_extra
        facts = [part for part in (_range_of(field), extra["unit"]) if part]
        facts.append(f"default: {_default_of(field)}")
        flag = f"--{name}={_type_name(field.annotation)}"
        line = f"  {flag:<34} {field.description} [{'; '.join(facts)}]"
        if len(line) > LONGEST_HELP_LINE:
            start, rest = f"  {flag} ", line[len(f"  {flag:<34} ") :]
            if len(start) > 37:  # the text begins below it
                start = f"  {flag}\n{'':37}"
            indent = " " * 37
            text = textwrap.fill(rest, 100, initial_indent=indent, subsequent_indent=indent)
            line = f"{start:<37}{text[37:]}"
        groups.setdefault(extra["group"], []).append(line)
    sections = [f"{group}:\n" + "\n".join(lines) for group, lines in groups.items()]
    return f"usage: {usage}\n\n{about}\n\n" + "\n\n".join(sections)


def _is_plain_text(text: str) -> bool:
    """Whether a text is free of NUL, which no path may have, and of bytes that were no UTF-8."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def admitted_types(annotation: Any) -> set[Any]:
    """The types of the values that an option may have; a Literal's words are str."""
    origin = typing.get_origin(annotation)
    if origin is None:
        return {annotation}
    if origin in (list, dict, tuple):
        return {origin}
    members = typing.get_args(annotation)
    return set().union(*(admitted_types(m) for m in members)) if origin is not Literal else {str}


def _type_name(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return "|".join(str(value) for value in typing.get_args(annotation))
    if origin in (list, dict, tuple):
        return {"list": "LIST", "dict": "MAPPING", "tuple": "LIST"}[origin.__name__]
    if origin is not None:
        names = [_type_name(m) for m in typing.get_args(annotation) if m is not type(None)]
        none = ["none"] if type(None) in typing.get_args(annotation) else []
        return "|".join(names + none)
    spelled = {"int": "INT", "float": "NUMBER", "str": "TEXT", "bool": "True|False"}
    return spelled.get(getattr(annotation, "__name__", ""), "VALUE")


def _range_of(field: Any) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    parts = []
    for limit in field.metadata:
        for attribute, sign in signs.items():
            if getattr(limit, attribute, None) is not None:
                parts.append(f"{sign} {getattr(limit, attribute)}")
    return " and ".join(parts)


def _default_of(field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    return "required" if default is PydanticUndefined else str(default)


def _explain(error: pydantic.ValidationError, options_class: type) -> str:
    problem = error.errors()[0]
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if not problem["loc"]:
        return message
    name = str(problem["loc"][0])
    field = fields_of(options_class)[name]
    right = [_type_name(field.annotation), _range_of(field), field.json_schema_extra["unit"]]
    wanted = ", ".join(part for part in right if part)
    value = str(problem["input"])[:100]
    return f"--{name}={value} is not valid: {message} (takes {wanted})"
