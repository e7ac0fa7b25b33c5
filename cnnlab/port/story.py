"""The statements of a program with what is known at each: values, definitions, dependencies."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from cnnlab.port.constant_values import Evaluator
from cnnlab.port.flattening import Item
from cnnlab.port.full_names import FullNames, dotted
from cnnlab.port.name_uses import bound_in, changed_in, read_in


class Story:
    """The items of a program in order."""

    def __init__(self, items: Sequence[Item], names: FullNames, flags: dict[str, Any]) -> None:
        """Evaluate what the source states.

        Args:
            items: the statements in order.
            names: the full names of imports.
            flags: values of variables that the program's command line sets.
        """
        self.items, self.names = list(items), names
        self.evaluator = Evaluator(names)
        self.bound = [bound_in(item.node) for item in self.items]
        self._reads = {
            next(iter(self.bound[i])): read_in(item.node)
            for i, item in enumerate(self.items)
            if item.is_function
        }
        self.known: list[dict[str, Any]] = []  # before each item
        known = dict(flags)
        for item in self.items:
            self.known.append(dict(known))
            self._learn(item, known)
        self.known.append(known)

    def _learn(self, item: Item, known: dict[str, Any]) -> None:
        """Add to `known` what the item binds."""
        node = item.node
        value: Any = NotImplemented
        if isinstance(node, ast.Assign):
            value = self.evaluator.get(node.value, known, NotImplemented)
        for name in bound_in(node) | changed_in(node):
            known.pop(name, None)
        if isinstance(node, ast.Assign) and value is not NotImplemented:
            for target in node.targets:
                _bind(target, value, known)
        for loop in item.loops:
            for name in bound_in(loop.target) if isinstance(loop, ast.For) else ():
                known.pop(name, None)

    def value(self, node: ast.AST | None, index: int, default: Any = None) -> Any:
        """Return the value of an expression before an item, or `default` if it is unknown."""
        return self.evaluator.get(node, self.known[index], default)

    def definition(self, name: str, index: int) -> tuple[int, ast.expr] | None:
        """Return where a name got its value before an item, and the expression."""
        for i in range(index - 1, -1, -1):
            node = self.items[i].node
            if name not in self.bound[i]:
                continue
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if dotted(target) == name:
                        return i, node.value
                    if isinstance(target, ast.Tuple | ast.List):
                        found = _element(target, node.value, name)
                        if found is not None:
                            return i, found
            return None
        return None

    def resolved(self, node: ast.expr, index: int) -> tuple[ast.expr, int]:
        """Return the expression behind a name, and the item that computes it."""
        for _ in range(20):
            name = dotted(node)
            found = self.definition(name, index) if name else None
            if found is None:
                return node, index
            index, node = found
        return node, index

    def reads(self, node: ast.AST) -> set[str]:
        """Return the names that a statement needs, also by the functions that it uses."""
        found: set[str] = set()
        new = read_in(node)
        while new:
            found |= new
            new = set().union(*(self._reads.get(name, set()) for name in new)) - found
        return found

    def slice_of(self, nodes: Iterable[ast.AST], index: int) -> list[int]:
        """Return the items before `index` that expressions depend on, in order."""
        needed = set().union(*map(self.reads, nodes))
        chosen = []
        for i in range(index - 1, -1, -1):
            node = self.items[i].node
            bound, changed = self.bound[i] & needed, changed_in(node) & needed
            if not bound and not changed:
                continue
            chosen.append(i)
            if not changed and not self.items[i].loops and not self._is_open(node):
                needed -= bound
            needed |= self.reads(node) | self._reads_of_scopes(i)
        return chosen[::-1]

    def makes_graph(self, node: ast.AST) -> bool:
        """Return whether a statement calls TensorFlow."""
        return any(self.names.of_call(inner).startswith("tf.") for inner in ast.walk(node))

    def literal(self, node: ast.stmt, index: int, bound: Collection[str]) -> ast.stmt:
        """Return an assignment of a known number as such, if it reads other names.

        Args:
            node: the statement.
            index: its item.
            bound: names that it may read, because they are there, too.
        """
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant):
            value = self.value(node.value, index)
            if isinstance(value, int | float | str) and read_in(node.value) - set(bound):
                return ast.copy_location(ast.Assign(node.targets, ast.Constant(value)), node)
        return node

    def _reads_of_scopes(self, index: int) -> set[str]:
        scopes = self.items[index].scopes
        expressions = [item.context_expr for scope in scopes for item in scope.items]
        return set().union(*map(self.reads, expressions))

    @staticmethod
    def _is_open(node: ast.stmt) -> bool:
        """Return whether a statement may leave a name that it binds as it was before."""
        return isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.AugAssign)


def _bind(target: ast.expr, value: Any, known: dict[str, Any]) -> None:
    name = dotted(target)
    if name is not None:
        known[name] = value
    elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, tuple | list):
        pairs = zip(target.elts, value, strict=False)
        for inner, part in pairs if len(value) == len(target.elts) else ():
            _bind(inner, part, known)


def _element(target: ast.Tuple | ast.List, value: ast.expr, name: str) -> ast.expr | None:
    """Return the expression of one name of `a, b = x, y`; None: the value is no tuple."""
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
        for inner, part in zip(target.elts, value.elts, strict=True):
            if dotted(inner) == name:
                return part
    return None
