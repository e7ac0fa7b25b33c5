"""What the source of a file says: the definition of one name, and what the file imports."""

from __future__ import annotations

import ast


def definition_of(name: str, source: bytes) -> ast.Module:
    """Return the statements of a file that define a name, and what these statements use in turn.

    So a function of a program can be used without running the program.

    Args:
        name: a function, class or variable of the file.
        source: the content of the file.
    """
    tree = ast.parse(source)
    binds = [(statement, _names(statement, ast.Store)) for statement in tree.body]
    needed, chosen = {name}, set()
    while True:
        new = {
            i
            for i, (statement, bound) in enumerate(binds)
            if i not in chosen and (bound & needed or _is_always_run(statement))
        }
        if not new:
            break
        chosen |= new
        needed.update(*(_names(tree.body[i], ast.Load) for i in new))
    return ast.Module([tree.body[i] for i in sorted(chosen)], [])


def imported_modules(source: bytes, package: str | None) -> set[str]:
    """Return the names of the modules that a file imports, wherever in the file.

    Args:
        source: the content of the file.
        package: the name of the file's package, for relative imports; empty: none.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = (package or "").split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join(part for part in (*above, node.module) if part)
            # What is imported from a package may be a module.
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def first_action(source: bytes) -> int | None:
    """Return the line of the first statement that does something when the file is imported.

    Definitions, imports, assignments and what stands under `if` (as of `__name__`) do not count.
    """
    harmless = (
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom),
        *(ast.Assign, ast.AnnAssign, ast.If, ast.Try, ast.Pass),
    )
    for statement in ast.parse(source).body:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not isinstance(statement, harmless) and not is_text:
            return statement.lineno
    return None


def _is_always_run(statement: ast.stmt) -> bool:
    """Return whether a statement matters without binding a name that is used."""
    if not isinstance(statement, ast.ImportFrom):
        return False
    return statement.module == "__future__" or statement.names[0].name == "*"


def _names(statement: ast.stmt, context: type[ast.expr_context]) -> set[str]:
    """Return the names that a statement of a file binds (Store) or uses (Load)."""
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            found.add(node.id)
        elif context is ast.Store and isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
    if context is ast.Store:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return {statement.name}  # not what is bound inside
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
    return found
