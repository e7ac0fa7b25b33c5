"""The full names of what a program uses: `tf.nn.conv2d`, whatever the program calls TensorFlow."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

# How one module is imported, and the name used here.
_CANONICAL: Final = (
    (re.compile(r"^tensorflow\.compat\.v1\b"), "tf"),
    (re.compile(r"^tensorflow\.(python\.|contrib\.)?keras\b"), "keras"),
    (re.compile(r"^tensorflow\b"), "tf"),
    (re.compile(r"^tf\.(compat\.v1\.keras|contrib\.keras|keras)\b"), "keras"),
    (re.compile(r"^tf\.compat\.v1\b"), "tf"),
    (
        re.compile(r"^tf\.contrib\.layers\.python\.layers(\.(layers|initializers))?\b"),
        "tf.contrib.layers",
    ),
    (re.compile(r"^slim\b"), "tf.contrib.slim"),
)
# The layers of slim are those of contrib.layers under the same names.
_SLIM_OWN: Final = ("learning", "dataset", "data", "evaluation", "metrics", "nets", "losses")


def dotted(node: ast.AST) -> str | None:
    """Return the text of a name with attributes, as "tf.nn.relu"; None for other expressions."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


class FullNames:
    """What the names of a program's imports stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self.imported: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    known = alias.name if alias.asname else alias.name.partition(".")[0]
                    self.imported[alias.asname or known] = known
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    module = "." * node.level + (node.module or "")
                    self.imported[alias.asname or alias.name] = f"{module}.{alias.name}"
        for statement in tree.body:  # slim = tf.contrib.slim
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Attribute):
                target, name = statement.targets[0], self.of(statement.value)
                if isinstance(target, ast.Name) and name.startswith("tf."):
                    self.imported[target.id] = name

    def of(self, node: ast.AST) -> str:
        """Return the full name of an expression, or "" if it is no name."""
        text = dotted(node)
        if text is None:
            return ""
        first, dot, rest = text.partition(".")
        text = self.imported.get(first, first) + dot + rest
        for pattern, name in _CANONICAL:
            text = pattern.sub(name, text)
        if text.startswith("tf.contrib.slim."):
            part = text.removeprefix("tf.contrib.slim.")
            if part.partition(".")[0] not in _SLIM_OWN:
                return f"tf.contrib.layers.{part}"
        return text

    def of_call(self, node: ast.AST) -> str:
        """Return the full name of what a call calls, or "" if the expression is no such call."""
        return self.of(node.func) if isinstance(node, ast.Call) else ""


def calls_of_methods(node: ast.AST, *names: str) -> Iterator[ast.Call]:
    """Yield the calls in an expression or statement of methods of these names."""
    for call in ast.walk(node):
        method = call.func if isinstance(call, ast.Call) else None
        if isinstance(method, ast.Attribute) and method.attr in names:
            assert isinstance(call, ast.Call)
            yield call


def argument(call: ast.Call, position: int | None, *names: str) -> ast.expr | None:
    """Return an argument of a call, by one of its names or by its position; None: not given."""
    for keyword in call.keywords:
        if keyword.arg in names:
            return keyword.value
    if position is not None and position < len(call.args):
        found = call.args[position]
        return None if isinstance(found, ast.Starred) else found
    return None
