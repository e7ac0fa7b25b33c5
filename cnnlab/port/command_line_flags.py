"""The defaults of a program's command line: tf.app.flags and argparse."""

from __future__ import annotations

import ast
from typing import Any

from cnnlab.port.constant_values import Evaluator
from cnnlab.port.full_names import FullNames, argument, dotted


def flag_values(tree: ast.Module, names: FullNames) -> dict[str, Any]:
    """Return the defaults of flags, by their names in the program, as "FLAGS.steps"."""
    evaluator, objects = Evaluator(names), {"FLAGS"}
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call | ast.Attribute):
            text = ast.unparse(node.value)
            if "parse_args" in text or "parse_known_args" in text or text.endswith("flags.FLAGS"):
                target = node.targets[0]
                first = target.elts[0] if isinstance(target, ast.Tuple) else target
                objects.add(dotted(first) or "FLAGS")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, value = "", None
        if node.func.attr.startswith("DEFINE_"):
            name = evaluator.get(argument(node, 0, "name", "flag_name"), {}, "")
            value = evaluator.get(argument(node, 1, "default", "default_value"), {})
        elif node.func.attr == "add_argument" and node.args:
            words = [evaluator.get(word, {}, "") for word in node.args]
            name = next((w for w in words if str(w).startswith("--")), words[0])
            name = str(name).lstrip("-").replace("-", "_")
            value = evaluator.get(argument(node, None, "default"), {})
        if name and value is not None:
            found |= {f"{owner}.{name}": value for owner in objects}
    return found
