"""What an option's type admits, and what the value that a user writes means for it."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

NONE = "none"
# The smallest and the largest number above 0 that float32 holds with all its digits.
FLOAT32_MIN, FLOAT32_MAX = 2.0**-126, (2 - 2.0**-23) * 2.0**127


def admitted_types(annotation: Any) -> set[Any]:
    """Return the types of the values that an option accepts. A Literal's words are str."""
    origin = typing.get_origin(annotation)
    if origin is None:
        return {annotation}
    if origin in (list, dict, tuple):
        return {origin}
    if origin is Literal:
        return {str}
    members = typing.get_args(annotation)
    if origin is Annotated:
        members = members[:1]
    return set().union(*(admitted_types(member) for member in members))


def plain(value: Any) -> Any:
    """Return a value in Python's own types, which YAML can store and which compare with `==`.

    NumPy's scalars become numbers, its arrays and all tuples lists, and paths texts.

    Raises:
        TypeError: a value inside has another type, or is a text with NUL, which no path has, or
            one that UTF-8 cannot hold.
    """
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays, without importing it
        value = value.tolist()
    if value is None:
        return None
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, os.PathLike):
        value = os.fsdecode(value)
    if isinstance(value, str):
        if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
            raise TypeError("it contains a character that names and paths may not have")
        return str.__str__(value)
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Mapping) and all(type(plain(key)) in (str, int) for key in value):
        return {plain(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Mapping):
        raise TypeError("a mapping may have texts and whole numbers as keys only")
    raise TypeError(
        f"it has a value of type {type(value).__name__}; use numbers, texts, lists and mappings"
    )


def beyond_float32(value: Any) -> float | None:
    """Return the first number in a value that float32 would turn into 0, infinity or nan, if any.

    Args:
        value: a number, or lists and mappings of numbers.
    """
    if isinstance(value, float):
        is_held = value == 0 or FLOAT32_MIN <= abs(value) <= FLOAT32_MAX
        return None if is_held else value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for v in inner if (found := beyond_float32(v)) is not None), None)


def meant_by(value: Any, annotation: Any) -> Any:
    """Return what a user's value means for an option; return any other value as it is.

    Flags, recipes, search spaces and Python share this rule: `none_or_word`, and the option's own
    words may have capitals and hyphens, as in Adam or One-Cycle.

    Args:
        value: the value of the option.
        annotation: the option's type.
    """
    value = none_or_word(value, annotation)
    words = words_of(annotation)
    if isinstance(value, str) and value not in words:
        spelled = value.lower().replace("-", "_")
        return next((word for word in words if str(word).lower() == spelled), value)
    return value


def none_or_word(value: Any, annotation: Any) -> Any:
    """Return what none means for an option; return any other value as it is.

    The texts "none" and "null" mean None if the option admits None. If "none" is one of the
    option's own words, they mean that word.

    Args:
        value: the value of the option.
        annotation: the option's type.
    """
    text = value.lower() if isinstance(value, str) else value
    if not (text is None or text in (NONE, "null")):
        return value
    admits_none = type(None) in admitted_types(annotation)
    if NONE in words_of(annotation) and not (value is None and admits_none):
        return NONE
    return None if admits_none else value


def words_of(annotation: Any) -> tuple[str, ...]:
    """Return the words of a Literal, or of the Literals in a union."""
    members = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return members
    if typing.get_origin(annotation) in (list, dict, tuple):
        return ()
    return tuple(word for member in members for word in words_of(member))


def type_name(annotation: Any) -> str:
    """Return how `--help` writes the values that an option takes, as in "INT|none"."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return "|".join(str(value) for value in typing.get_args(annotation))
    if origin is Annotated:
        kind, *marks = typing.get_args(annotation)
        titles = [title for mark in marks if (title := getattr(mark, "title", None))]
        return titles[0] if titles else type_name(kind)
    if origin in (list, dict, tuple):
        return {"list": "LIST", "dict": "MAPPING", "tuple": "LIST"}[origin.__name__]
    if origin is not None:
        names = [type_name(m) for m in typing.get_args(annotation) if m is not type(None)]
        none = ["none"] if type(None) in typing.get_args(annotation) else []
        words = "|".join(names + none).split("|")
        return "|".join(dict.fromkeys(words))  # "none" may be a word of the option as well
    spelled = {"int": "INT", "float": "NUMBER", "str": "TEXT", "bool": "True|False"}
    return spelled.get(getattr(annotation, "__name__", ""), "VALUE")


def range_of(field: Any) -> str:
    """Return the range of a number, as in ">= 1"; empty if there is none."""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    parts = []
    for limit in field.metadata:
        for attribute, sign in signs.items():
            if getattr(limit, attribute, None) is not None:
                parts.append(f"{sign} {getattr(limit, attribute)}")
    return " and ".join(parts)
