"""What `--help` and docs/options.md say about options.

`--help` has the everyday options, `--help=GROUP` those of one group, `--help=all` every option. A
command's own options come first; those that it inherits, as tune does from a run, follow. A command
with few options has no others than everyday ones.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import Any, NamedTuple

from pydantic_core import PydanticUndefined

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.words import ALIASES
from cnnlab.config.options import Options, fields_of
from cnnlab.config.values import range_of, type_name

ALL = "all"
_WIDTHS = (40, 120)  # characters in a line, whatever the width of the terminal
_INDENT = 37  # the column where the descriptions begin, at most
_FEW = 24  # options that `--help` can list all
_PIPED = (80, 24)  # columns and lines where there is no terminal


class Description(NamedTuple):
    """What `--help` and docs/options.md say about one option.

    Attributes:
        flag: name and type, as in "--steps=INT|none".
        limits: the range of a number, as in ">= 1"; empty if there is none.
        unit: the unit of a number; empty if there is none.
        default: the value without a flag, or its description.
        text: what the option does, then one line for each choice that needs an explanation.
        group: the heading that the option is listed under.
        aliases: its other names.
    """

    flag: str
    limits: str
    unit: str
    default: str
    text: str
    group: str
    aliases: tuple[str, ...]


def describe(options_class: type) -> dict[str, Description]:
    """Return the description of each option by name, in the order of declaration."""
    return {
        name: Description(
            f"--{name}={type_name(field.annotation)}",
            range_of(field),
            field.json_schema_extra["unit"],
            _default_of(field),
            field.description,
            field.json_schema_extra["group"],
            tuple(alias for alias, option in ALIASES.items() if option == name),
        )
        for name, field in fields_of(options_class).items()
    }


def help_text(options_class: type, usage: str, about: str, which: str = "") -> str:
    """Return the text of `--help`: options with type, range, unit and default, by group.

    Args:
        options_class: the command's options.
        usage: the first line.
        about: what the command does.
        which: empty: the command's own and the everyday options, without their choices; "all" or
            the name of a group: all of these options.

    Raises:
        UsageError: no option has this group; names the groups.
    """
    width = max(_WIDTHS[0], min(shutil.get_terminal_size(_PIPED).columns, _WIDTHS[1]))
    described, own = describe(options_class), vars(options_class).get("__annotations__", {})
    shared = fields_of(Options)
    ordered = sorted(described, key=lambda name: (name not in own, name in shared))
    groups = list(dict.fromkeys(described[name].group for name in ordered))
    if which not in ("", ALL, *groups):
        hint = nearest(which, groups)
        raise UsageError(f"--help={which}: no such group{hint}; there are {', '.join(groups)}")
    sections: dict[str, list[str]] = {}
    for name in ordered:
        extra, one = fields_of(options_class)[name].json_schema_extra, described[name]
        is_everyday = name in own or extra["everyday"] or len(described) <= _FEW
        if which in (ALL, one.group) or (not which and is_everyday):
            entry = _entry(one, width, has_choices=bool(which))
            sections.setdefault(one.group, []).append(entry)
    blocks = [f"usage: {usage}", _filled(about, width)]
    blocks += [f"{group}:\n" + "\n".join(entries) for group, entries in sections.items()]
    if not which:
        blocks.append(
            _filled(
                f"--help=all explains all {len(described)} options and their choices, "
                f"--help=GROUP those of a group: {', '.join(groups)}.",
                width,
            )
        )
    return "\n\n".join(blocks)


def _entry(described: Description, width: int, *, has_choices: bool) -> str:
    """Return one option's entry of `--help`, without a newline at its end."""
    facts = [part for part in (described.limits, described.unit) if part]
    facts.append(f"default: {described.default}")
    if described.aliases:
        facts.append("also " + ", ".join(f"--{alias}" for alias in described.aliases))
    # A no-break space keeps ">= 1" and "default: 1" on one line.
    facts = [re.sub(r"(>=?|<=?|default:|also) ", "\\1\N{NO-BREAK SPACE}", fact) for fact in facts]
    summary, *choices = described.text.splitlines()
    indent = min(_INDENT, width // 3)
    lines = _wrapped(f"{summary} [{'; '.join(facts)}]", indent, width)
    for choice in choices if has_choices else ():
        lines += _wrapped(choice, indent + 2, width)
    *longer, flag = _wrapped_flag(f"  {described.flag}", width)
    if len(flag) < indent and not longer:
        return "\n".join([flag + lines[0][len(flag) :], *lines[1:]])
    return "\n".join([*longer, flag, *lines])


def _wrapped(text: str, indent: int, width: int) -> list[str]:
    lines = textwrap.wrap(text, width - indent, break_on_hyphens=False)
    return [" " * indent + line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _wrapped_flag(flag: str, width: int) -> list[str]:
    """Return a flag in lines; one with many choices is cut between them."""
    lines = [""]
    for part in re.findall(r"[^|]+\|?", flag):
        if len(lines[-1]) + len(part) > width:
            lines.append(" " * 6)
        lines[-1] += part
    return lines


def _filled(text: str, width: int) -> str:
    return textwrap.fill(" ".join(text.split()), width, break_on_hyphens=False)


def _default_of(field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    return field.json_schema_extra["default_text"] or ("none" if default is None else str(default))
