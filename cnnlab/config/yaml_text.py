"""Read and write YAML safely: plain values only, as options need them.

PyYAML follows YAML 1.1: 1:30 is 90, 010 is 8, `no` is False and 2020-01-01 is a date. The core
schema of YAML 1.2 applies here (https://yaml.org/spec/1.2.2, section 10.3). There 010 is 10,
and the others are texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import read_text

MAX_BYTES = 1_000_000
MAX_DEPTH = 20


class _PlainLoader(yaml.SafeLoader):
    """A SafeLoader that also refuses aliases and deep nesting, which can make a small text huge.

    SafeLoader itself refuses tags that name Python objects.
    """

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: Any) -> None:
        """Refuse a name that is given twice. Do not merge "<<", which becomes an unknown name."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise yaml.YAMLError(f"{name} is given twice")


# The plain texts that are no texts, and the first characters of each.
_RESOLVED = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
}


class _PlainDumper(yaml.SafeDumper):
    """A SafeDumper that quotes a text if YAML 1.1 or 1.2 would read it as another value."""


_PlainLoader.yaml_implicit_resolvers = {}  # those of YAML 1.1
for _kind, (_pattern, _first) in _RESOLVED.items():
    for _class in (_PlainLoader, _PlainDumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _first
        )


def _construct_int(_loader: _PlainLoader, node: yaml.ScalarNode) -> int:
    text = str(node.value)
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def parse_yaml(text: str, where: str) -> Any:
    """Return the plain value of a YAML text.

    Args:
        text: the YAML, at most MAX_BYTES characters.
        where: the name of the text in error messages.

    Raises:
        UsageError: the text is not YAML, is too large, or contains more than plain values.
    """
    if len(text) > MAX_BYTES:
        raise UsageError(f"{where} has more than {MAX_BYTES:,} characters")
    try:
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError) as error:
        # PyYAML raises errors of other types for numbers and dates that it cannot parse.
        problem = " ".join(str(error).split())[:300]
        raise UsageError(f"{where} is not valid YAML: {problem}") from error


def read_yaml_mapping(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file that maps names to plain values.

    Raises:
        UsageError: the file is not YAML, or not a mapping with text keys.
        OSError: the file cannot be read.
    """
    try:
        text = read_text(path, MAX_BYTES)
    except CnnlabError as error:
        raise UsageError(str(error)) from error
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise UsageError(f"{path} is not a mapping of option names to values")
    return values


def dump_yaml(values: Mapping[str, Any], **style: Any) -> str:
    """Return a mapping of plain values as YAML that `parse_yaml` reads back without a change.

    Args:
        values: name to value.
        **style: arguments of `yaml.dump`.
    """
    return str(yaml.dump(values, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, **style))
