"""Walk through a program and note, line by line, what to change."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from cnnlab.port.advice import Advice, advice_for
from cnnlab.port.full_names import FullNames, argument, calls_of_methods
from cnnlab.port.rewriting import FLAG, is_confused_dropout

# Python 2's names that are no syntax errors.
_PYTHON_2: Final = {
    "xrange": "range",
    "raw_input": "input",
    "unicode": "str",
    "cPickle": "pickle",
    "urllib2": "urllib.request",
    "iteritems": "items",
    "itervalues": "values",
    "has_key": "in",
}
_V1: Final = re.compile(
    r"^tf\.(placeholder|Session|InteractiveSession|get_variable|variable_scope|layers\.|contrib\."
    r"|app\.|global_variables_initializer|initialize_all_variables|train\.(Saver|\w+Optimizer|\w*Session"
    r"|string_input_producer)|summary\.FileWriter|estimator\.|logging|gfile|flags|get_default_graph"
    r"|examples\.)"
)
_V2: Final = re.compile(
    r"^tf\.(GradientTape|function|random\.(normal|uniform)|summary\.create_file)"
)
_V2_METHODS: Final = ("fit", "compile", "numpy", "apply_gradients")


class Note(NamedTuple):
    """What to do about a line.

    Attributes:
        line: its number, from 1; 0: the whole program.
        what: the name that the line uses.
        kind: see `cnnlab.port.advice`.
        to: what to write.
        why: why.
    """

    line: int
    what: str
    kind: str
    to: str
    why: str


def version_of(tree: ast.Module, names: FullNames) -> int:
    """Return 1 or 2 for a program of this version of TensorFlow, 0 if it uses none."""
    used = [names.of(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used += list(names.imported.values())
    full = [name if name.startswith("tf") else "" for name in used]
    if any(map(_V1.match, full)) or any("examples.tutorials" in name for name in used):
        return 1
    text = " ".join(used)
    if "compat.v1" in text:
        return 1
    if any(map(_V2.match, full)) or any(name.startswith("keras") for name in used):
        return 2
    methods = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    if any(name.startswith("tensorflow") for name in used):
        return 2 if methods & set(_V2_METHODS) else 1
    return 0


def notes_on(tree: ast.Module, names: FullNames) -> list[Note]:
    """Return what to do about each line, in the order of the lines."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    nodes = [node for node in ast.walk(tree) if id(node) not in inner or isinstance(node, ast.Call)]
    return sorted({note for node in nodes for note in _on(node, names)})


def _on(node: ast.AST, names: FullNames) -> Iterator[Note]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from _on_import(node)
    elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
        full = names.of(node)
        short = full.rpartition(".")[2]
        if short in _PYTHON_2:
            what = _PYTHON_2[short]
            yield Note(node.lineno, short, "change", what, "Python 3 has no such name")
        advice = advice_for(full) if full else None
        if advice is not None and (full.startswith(("tf.", "keras")) or "." in full):
            yield _note(node.lineno, full, advice)
    if isinstance(node, ast.Call):
        yield from _on_call(node, names)


def _on_import(node: ast.Import | ast.ImportFrom) -> Iterator[Note]:
    modules = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        modules = [f"{node.module}.{name}" for name in modules]
    for module in modules:
        if module in ("tensorflow", "tensorflow.compat.v1", "tensorflow.compat.v1"):
            to = "from cnnlab import Train, layers, tf"
            why = "tensorflow is version 2 today; cnnlab.tf has version 1's names"
            yield Note(node.lineno, f"import {module}", "change", to, why)
        for old, new in _PYTHON_2.items():
            if module.partition(".")[0] == old:
                yield Note(node.lineno, old, "change", new, "Python 3 has no such module")


def _on_call(node: ast.Call, names: FullNames) -> Iterator[Note]:
    """Yield notes on how a call is written."""
    full = names.of(node.func)
    if is_confused_dropout(full, node):
        why = "the third argument is noise_shape: training stays False, so it never acts"
        yield Note(node.lineno, full, "check", "training=training", why)
    if full in (
        "tf.nn.softmax_cross_entropy_with_logits",
        "tf.nn.softmax_cross_entropy_with_logits_v2",
    ):
        logits = argument(node, None, "logits")
        if names.of_call(logits) == "tf.nn.softmax" if logits else False:
            why = "softmax is applied twice: the loss applies it itself, and gradients get small"
            yield Note(node.lineno, "tf.nn.softmax", "check", "the logits alone", why)
    for keyword in node.keywords:
        is_constant = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        if (
            keyword.arg
            and FLAG.match(keyword.arg)
            and is_constant
            and not full.startswith("tf.app")
        ):
            why = "a constant True is also in force when the network is evaluated"
            yield Note(node.lineno, f"{keyword.arg}=True", "check", f"{keyword.arg}=training", why)


def loop_notes(tree: ast.Module, names: FullNames) -> Iterator[Note]:
    """Yield notes on loops that add operations to the graph in each round."""
    for loop in ast.walk(tree):
        if not isinstance(loop, ast.For | ast.While):
            continue
        runs = any(True for _ in calls_of_methods(loop, "run"))
        for node in ast.walk(loop) if runs else ():
            full = names.of_call(node)
            if re.match(r"tf\.(argmax|equal|reduce_mean|cast|assign|nn\.|constant)", full):
                why = "each round adds operations to the graph, which gets slower and larger"
                line = getattr(node, "lineno", loop.lineno)
                yield Note(
                    line, f"{full} in a loop of runs", "check", "build it before the loop", why
                )
                break


def _note(line: int, full: str, advice: Advice) -> Note:
    return Note(line, full, advice.kind, advice.to, advice.why)
