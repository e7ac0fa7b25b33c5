"""Which names a statement reads and binds."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from cnnlab.port.full_names import dotted

_CHANGING = ("append", "extend", "insert", "update", "add", "setdefault")


def bound_in(node: ast.AST) -> set[str]:
    """Return the names that a statement binds, but not those inside a function that it defines.

    An attribute counts by its whole name, as "self.x".
    """
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    found: set[str] = set()
    for inner in ast.iter_child_nodes(node):
        found |= bound_in(inner)
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
        found.add(dotted(node) or "")
    elif isinstance(node, ast.alias):
        found.add(node.asname or node.name.partition(".")[0])
    elif isinstance(
        node, ast.Lambda | ast.ListComp | ast.DictComp | ast.GeneratorExp | ast.SetComp
    ):
        return set()
    return found - {""}


def changed_in(node: ast.AST) -> set[str]:
    """Return the names whose values a statement changes without binding them, as `a[0] = 1`."""
    found = set()
    for inner in ast.walk(node):
        owner: ast.AST | None = None
        if isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Store):
            owner = inner.value
        elif isinstance(inner, ast.AugAssign):
            owner = inner.target
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            owner = inner.func.value if inner.func.attr in _CHANGING else None
        text = dotted(owner) if owner is not None else None
        if text is not None:
            found.add(text)
    return found


def read_in(node: ast.AST) -> set[str]:
    """Return the names that a statement reads from outside it; of a function, its free names.

    Of an attribute, every beginning counts: "self" and "self.x".
    """
    match node:
        case ast.FunctionDef() | ast.Lambda():
            return _read_in_function(node)
        case ast.ClassDef():
            return set().union(*map(read_in, [*node.body, *node.bases])) - {node.name}
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            inner = set().union(*map(read_in, ast.iter_child_nodes(node)))
            own = {
                n.id
                for generator in node.generators
                for n in ast.walk(generator.target)
                if isinstance(n, ast.Name)
            }
            return inner - own
        case ast.Name():
            return {node.id} if isinstance(node.ctx, ast.Load) else set()
        case ast.Attribute():
            text = dotted(node)
            found = read_in(node.value)
            return found | {text} if text and isinstance(node.ctx, ast.Load) else found
        case ast.AugAssign():
            return read_in(node.value) | {dotted(node.target) or ""} - {""}
    return set().union(*map(read_in, ast.iter_child_nodes(node)))


def _read_in_function(node: ast.FunctionDef | ast.Lambda) -> set[str]:
    arguments = node.args
    all_arguments = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    all_arguments += [a for a in (arguments.vararg, arguments.kwarg) if a]
    own = {a.arg for a in all_arguments}
    defaults = [d for d in (*arguments.defaults, *arguments.kw_defaults) if d]
    body = node.body if isinstance(node.body, list) else [node.body]
    outside = {
        name
        for inner in ast.walk(node)
        if isinstance(inner, ast.Global | ast.Nonlocal)
        for name in inner.names
    }
    own |= set().union(*map(bound_in, body)) - outside
    found = set().union(*map(read_in, body))
    found = {name for name in found if name.partition(".")[0] not in own}
    return found.union(*map(read_in, defaults))


class Renaming(ast.NodeTransformer):
    """Gives names other names, but not those that a function inside has as arguments."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        new = self._names.get(node.id, node.id)
        if "." in new:
            return ast.copy_location(_expression(new, node.ctx), node)
        return ast.copy_location(ast.Name(new, node.ctx), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self._names.get(node.name, node.name)
        own = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        inner = Renaming({old: new for old, new in self._names.items() if old not in own})
        node.args.defaults = [self.visit(d) for d in node.args.defaults]
        node.body = [inner.visit(statement) for statement in node.body]
        return node


def _expression(text: str, context: ast.expr_context) -> ast.expr:
    node = ast.parse(text, mode="eval").body
    if isinstance(node, ast.Attribute | ast.Name):
        node.ctx = context
    return node
