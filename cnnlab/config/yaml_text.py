"""YAML as far as options need it: plain values, whatever the file tries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import read_text

MAX_BYTES = 1_000_000
MAX_DEPTH = 20


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader, without what makes a small text large: aliases and deep nesting.

    SafeLoader itself refuses tags that name Python objects.
    """

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not admitted")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: Any) -> None:
        """Leave "<<" to be an unknown name; and refuse a name given twice."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise yaml.YAMLError(f"{name} is given twice")


# 1e-4 is a number in YAML 1.2 and for everybody who writes it; PyYAML's 1.1 wants 1.0e-4.
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(text: str, where: str) -> Any:
    """The plain value that a YAML text stands for.

    Args:
        text: the YAML.
        where: what messages call it.

    Raises:
        UsageError: it is not YAML, is too large, or holds more than plain values.
    """
    if len(text) > MAX_BYTES:
        raise UsageError(f"{where} has more than {MAX_BYTES:,} characters")
    try:
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError) as error:
        # PyYAML reports numbers and dates it cannot make in its own ways.
        problem = " ".join(str(error).split())[:300]
        raise UsageError(f"{where} is not valid YAML: {problem}") from error


def read_yaml_mapping(path: Path) -> dict[str, Any]:
    """Read a file that maps names to plain values.

    Raises:
        UsageError: it is not YAML, or something else than such a mapping.
        OSError: it cannot be read.
    """
    try:
        text = read_text(path, MAX_BYTES)
    except CnnlabError as error:
        raise UsageError(str(error)) from error
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise UsageError(f"{path} is not a mapping of option names to values")
    return values
