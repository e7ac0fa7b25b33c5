"""A program as one list of statements, in the order in which it builds its graph and trains.

Functions and methods that build the graph or train are called once in the programs of TensorFlow 1.
So their bodies replace their calls. Loops that train are entered; all other loops stay whole.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cnnlab.port.full_names import FullNames, argument, dotted
from cnnlab.port.input_functions import (
    batch_of_iterator,
    body_of_model_function,
    keys_of_features,
)
from cnnlab.port.name_uses import Renaming, bound_in

MAX_DEPTH: Final = 8  # of functions in functions
MAX_ITEMS: Final = 5000

# What a function must have to be part of the story: it makes inputs or a loss, or it trains.
_CORE: Final = re.compile(
    r"^tf\.(placeholder(_with_default)?|losses\.\w+|nn\.\w*cross_entropy\w*|Session"
    r"|InteractiveSession|train\.\w*Session|train\.\w+Optimizer|gradients"
    r"|(estimator|contrib\.learn)\.Estimator)$"
)
_CORE_METHODS: Final = ("minimize", "apply_gradients", "next_batch", "get_next")
# Blocks that are entered without a trace; others, such as variable scopes, stay around statements.
_DISSOLVED: Final = re.compile(
    r"^(tf\.(Session|InteractiveSession|Graph|device|get_default_graph|control_dependencies"
    r"|train\.\w*Session|train\.\w*Coordinator)|slim\.queues\..*)\b|as_default$|^open$|^as_default"
)
_KEPT_SCOPES: Final = ("tf.name_scope", "tf.variable_scope", "tf.variable_op_scope", "tf.op_scope")


@dataclass
class Item:
    """A statement of the story.

    Attributes:
        node: the statement; it has no block that was entered.
        scopes: the `with` statements around it that belong to the graph, the outermost first.
        loops: the loops around it that train, the outermost first.
        is_function: whether it is the definition of a function or a class.
    """

    node: ast.stmt
    scopes: tuple[ast.With, ...] = ()
    loops: tuple[ast.For | ast.While, ...] = ()
    is_function: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_function = isinstance(self.node, ast.FunctionDef | ast.ClassDef)


class Flattening:
    """Flattens one program."""

    def __init__(self, tree: ast.Module, names: FullNames) -> None:
        self._names = names
        self.functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        self.classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
        self._core_cache: dict[str, bool] = {}
        self._taken: set[str] = set()
        self._objects: dict[str, ast.ClassDef] = {}  # variable of the program to its class
        self._fields: dict[tuple[str, str], str] = {}
        self._keys = keys_of_features(tree)
        self.items = self._flat(tree.body, (), (), 0)

    def _flat(
        self,
        statements: Sequence[ast.stmt],
        scopes: tuple[ast.With, ...],
        loops: tuple[ast.For | ast.While, ...],
        depth: int,
    ) -> list[Item]:
        found: list[Item] = []
        for node in statements:
            if self._objects and not isinstance(node, ast.FunctionDef | ast.ClassDef):
                node = _Fields(self).visit(copy.deepcopy(node))
            for item in self._of(node, scopes, loops, depth):
                found.append(item)
                self._taken |= bound_in(item.node)
                if len(found) > MAX_ITEMS:
                    return found
        return found

    def _of(
        self,
        node: ast.stmt,
        scopes: tuple[ast.With, ...],
        loops: tuple[ast.For | ast.While, ...],
        depth: int,
    ) -> Iterator[Item]:
        if isinstance(node, ast.With):
            yield from self._of_with(node, scopes, loops, depth)
        elif isinstance(node, ast.If) and _is_main(node.test):
            yield from self._flat(node.body, scopes, loops, depth)
        elif isinstance(node, ast.If | ast.Try) and self._is_core(node):
            rest = node.orelse if isinstance(node, ast.If) else node.finalbody
            yield from self._flat([*node.body, *rest], scopes, loops, depth)
        elif isinstance(node, ast.For | ast.While) and self._is_core(node):
            yield from self._flat(node.body, scopes, (*loops, node), depth)
        elif depth < MAX_DEPTH and (body := self._inlined(node)) is not None:
            yield from self._flat(body, scopes, loops, depth + 1)
        else:
            yield Item(node, scopes, loops)

    def _of_with(
        self,
        node: ast.With,
        scopes: tuple[ast.With, ...],
        loops: tuple[ast.For | ast.While, ...],
        depth: int,
    ) -> Iterator[Item]:
        calls = [item.context_expr for item in node.items]
        texts = [self._names.of_call(call) or _method_of(call) for call in calls]
        if all(_DISSOLVED.search(text) for text in texts):
            for item in node.items:
                if item.optional_vars is not None:
                    yield Item(
                        ast.Assign([item.optional_vars], item.context_expr, lineno=node.lineno)
                    )
            yield from self._flat(node.body, scopes, loops, depth)
        elif all(text in _KEPT_SCOPES for text in texts) or self._is_core(node):
            yield from self._flat(node.body, (*scopes, node), loops, depth)
        else:
            yield Item(node, scopes, loops)

    def field_name(self, owner: str, attribute: str) -> str | None:
        """Return the variable that stands for a field of an object; None: it is no field."""
        definition = self._objects.get(owner)
        if definition is None or attribute in {getattr(n, "name", "") for n in definition.body}:
            return None
        if (owner, attribute) not in self._fields:
            name = attribute if attribute not in self._taken else _free(attribute, self._taken)
            self._fields[owner, attribute] = name
            self._taken.add(name)
        return self._fields[owner, attribute]

    def _is_core(self, node: ast.AST) -> bool:
        """Return whether a statement makes inputs or a loss, or trains, also by a function."""
        for inner in ast.walk(node):
            if not isinstance(inner, ast.Call):
                continue
            full = self._names.of(inner.func)
            method = inner.func.attr if isinstance(inner.func, ast.Attribute) else ""
            if _CORE.match(full) or method in _CORE_METHODS:
                return True
            if method in ("run", "eval", "train") and inner.args:
                return True
            if method == "run" or full == "keras.datasets":
                return True
            name = method or full
            if (name in self.functions or name in self.classes) and self._function_is_core(name):
                return True
        return False

    def _function_is_core(self, name: str) -> bool:
        if name not in self._core_cache:
            self._core_cache[name] = False  # for a function that calls itself
            definition = self.functions.get(name) or self.classes[name]
            self._core_cache[name] = any(map(self._is_core, definition.body))
        return self._core_cache[name]

    def _inlined(self, node: ast.stmt) -> list[ast.stmt] | None:
        """Return what a statement that calls a core function does; None: it does not."""
        if not isinstance(node, ast.Expr | ast.Assign) or not isinstance(node.value, ast.Call):
            return None
        call = node.value
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(call.func, ast.Attribute) and call.func.attr == "get_next" and targets:
            return batch_of_iterator(targets[0], node)
        if self._names.of_call(call).endswith((".estimator.Estimator", ".learn.Estimator")):
            name = dotted(argument(call, 0, "model_fn") or call) or ""
            function = self.functions.get(name)
            return body_of_model_function(function, call, self._keys) if function else None
        if self._names.of_call(call) == "tf.app.run":
            main = next((k.value for k in call.keywords if k.arg == "main"), None)
            name = dotted(call.args[0] if call.args else main or ast.Name("main")) or ""
            call = ast.Call(ast.Name(name), [ast.Constant(None)], [])
        name = dotted(call.func) or ""
        if name in self.classes:
            return self._made(name, call, targets)
        function = self.functions.get(name)
        owner, _, method = name.rpartition(".")
        if function is None and owner in self._objects:
            methods = self._objects[owner].body
            function = next(
                (m for m in methods if isinstance(m, ast.FunctionDef) and m.name == method), None
            )
            call = ast.Call(call.func, [ast.Name(owner), *call.args], call.keywords)
        if function is None:
            return None
        sets_fields = bool(owner) and "self." in " ".join(
            set().union(*map(bound_in, function.body))
        )
        if not sets_fields and not any(map(self._is_core, function.body)):
            return None
        return self._body(function, call, targets, owner)

    def _made(self, name: str, call: ast.Call, targets: list[ast.expr]) -> list[ast.stmt] | None:
        """Return what making an object of a class does."""
        definition = self.classes[name]
        if not self._function_is_core(name) or len(targets) != 1:
            return None
        owner = dotted(targets[0])
        if owner is None:
            return None
        self._objects[owner] = definition
        for node in definition.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                call = ast.Call(call.func, [ast.Name(owner), *call.args], call.keywords)
                return self._body(node, call, [], owner)
        return []

    def _body(
        self, function: ast.FunctionDef, call: ast.Call, targets: list[ast.expr], owner: str
    ) -> list[ast.stmt] | None:
        """Return the body of a function with its arguments; None: it returns early."""
        parameters = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
        returns = [n for n in ast.walk(function) if isinstance(n, ast.Return)]
        last = function.body[-1]
        if function.args.vararg or function.args.kwarg or len(call.args) > len(parameters):
            return None
        if returns and (len(returns) > 1 or returns[0] is not last):
            return None
        given = dict(zip(parameters, call.args, strict=False))
        given |= {k.arg: k.value for k in call.keywords if k.arg}
        defaults = zip(reversed(parameters), reversed(function.args.defaults), strict=False)
        given = {**dict(defaults), **given}
        if set(parameters) - set(given):
            return None
        body = copy.deepcopy(function.body)
        renaming = {}
        if owner and parameters:
            renaming[parameters[0]] = owner  # self
            del given[parameters[0]]
        local = set(given) | set().union(*map(bound_in, body))
        for name in local:
            value = given.get(name)
            if isinstance(value, ast.Name) and value.id == name:
                del given[name]  # x=x
            elif name in self._taken and name not in renaming:
                renaming[name] = _free(name, self._taken | local)
        line = getattr(call, "lineno", function.lineno)
        start: list[ast.stmt] = [
            ast.Assign([ast.Name(renaming.get(name, name), ast.Store())], value, lineno=line)
            for name, value in given.items()
        ]
        body = [Renaming(renaming).visit(node) for node in body]
        if returns:
            result = body.pop()
            assert isinstance(result, ast.Return)
            if targets and result.value is not None:
                pairs = [(targets[0], result.value)]
                if isinstance(targets[0], ast.Tuple) and isinstance(result.value, ast.Tuple):
                    # One by one, so that each can be moved without the others.
                    pairs = list(zip(targets[0].elts, result.value.elts, strict=False))
                body += [ast.Assign([t], v, lineno=result.lineno) for t, v in pairs]
        return [ast.fix_missing_locations(node) for node in (*start, *body)]


class _Fields(ast.NodeTransformer):
    """Makes variables of the fields of the program's object: `self.x` becomes `x`."""

    def __init__(self, flattening: Flattening) -> None:
        self._flattening = flattening

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name):
            name = self._flattening.field_name(node.value.id, node.attr)
            if name is not None:
                return ast.copy_location(ast.Name(name, node.ctx), node)
        self.generic_visit(node)
        return node


def _free(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _method_of(call: ast.AST) -> str:
    is_method = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
    return call.func.attr if is_method else ""  # type: ignore[attr-defined]


def _is_main(test: ast.expr) -> bool:
    return "__name__" in ast.unparse(test)
