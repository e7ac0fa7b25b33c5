"""Read YAML safely: plain values only, as options need them."""

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


# PyYAML follows YAML 1.1, which needs 1.0e-4. Accept 1e-4 as a number too, as YAML 1.2 does.
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


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
