"""A program's own modules: the files beside it that it imports, as a part of the program."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

from cnnlab.port.full_names import dotted
from cnnlab.port.name_uses import bound_in


def with_own_modules(
    tree: ast.Module, folder: Path, parse: Callable[[Path], ast.Module]
) -> list[Path]:
    """Put the statements of imported files in place of the imports.

    Statements of another file get the line of the import.

    Args:
        tree: the program; is changed.
        folder: the program's folder.
        parse: reads and parses a file.

    Returns:
        the files that were read.
    """
    read: list[Path] = []
    prefixes: dict[str, set[str]] = {}  # name of a module to what it defines
    body: list[ast.stmt] = []
    for node in tree.body:
        body += _replaced(node, folder, parse, read, prefixes)
    tree.body = body
    _Unqualified(prefixes).visit(tree)
    return read


def _replaced(
    node: ast.stmt,
    folder: Path,
    parse: Callable[[Path], ast.Module],
    read: list[Path],
    prefixes: dict[str, set[str]],
) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        path = _file(folder, module)
        if path is not None:
            return _statements(path, node, parse, read)
        for alias in node.names:  # from package import module
            path = _file(folder, f"{module}.{alias.name}" if module else alias.name)
            if path is None:
                return [node]
            found += _statements(path, node, parse, read)
            prefixes[alias.asname or alias.name] = set().union(*map(bound_in, found))
        return found
    if isinstance(node, ast.Import):
        others = []
        for alias in node.names:
            path = _file(folder, alias.name)
            if path is None:
                others.append(alias)
                continue
            statements = _statements(path, node, parse, read)
            prefixes[alias.asname or alias.name] = set().union(*map(bound_in, statements))
            found += statements
        return [*found, *([ast.copy_location(ast.Import(others), node)] if others else [])]
    return [node]


def _file(folder: Path, module: str) -> Path | None:
    path = folder.joinpath(*module.split(".")).with_suffix(".py") if module else None
    return path if path is not None and path.is_file() else None


def _statements(
    path: Path, place: ast.stmt, parse: Callable[[Path], ast.Module], read: list[Path]
) -> list[ast.stmt]:
    """Return the statements of a file without its main part; none if it was read before."""
    if path in read or len(read) >= 20:
        return []
    read.append(path)
    tree = parse(path)
    for inner in ast.walk(tree):
        if hasattr(inner, "lineno"):
            ast.copy_location(inner, place)
    return [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))
    ]


class _Unqualified(ast.NodeTransformer):
    """Makes `module.name` to `name`."""

    def __init__(self, prefixes: dict[str, set[str]]) -> None:
        self._prefixes = prefixes

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        owner = dotted(node.value)
        if owner in self._prefixes and node.attr in self._prefixes[owner]:
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        self.generic_visit(node)
        return node
