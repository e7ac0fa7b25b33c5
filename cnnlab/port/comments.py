"""The comments of a program, which its syntax tree does not have, kept through the rewriting."""

from __future__ import annotations

import ast
import copy
import io
import re
import tokenize
from typing import Final

_MOST: Final = 8  # lines above a statement; longer ones are often code that is left out
_MARK: Final = re.compile(r"^( *)__comment_(\d+)__$", re.MULTILINE)
# Comments for tools, not for readers.
_FOR_TOOLS: Final = re.compile(r"#\s*(!|%%|-\*-|coding[:=]|type:|noqa|pylint|pragma|fmt:|In ?\[)")


def attach_comments(tree: ast.Module, source: str) -> ast.Module:
    """Give each statement the comment lines directly above it; return the tree."""
    above = _comment_lines(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            lines: list[str] = []
            number = node.lineno - 1
            while above.get(number, (-1, ""))[0] == node.col_offset and len(lines) < _MOST:
                lines.insert(0, above[number][1])
                number -= 1
            if lines:
                node.port_comments = lines  # type: ignore[attr-defined]  # copies keep it
    return tree


def unparse(node: ast.AST) -> str:
    """Return the text of a syntax tree, with the comments of its statements."""
    comments: list[list[str]] = []
    node = _Marking(comments).visit(copy.deepcopy(node))
    if isinstance(node, list):
        node = ast.Module(node, [])
    text = ast.unparse(ast.fix_missing_locations(node))

    def lines(found: re.Match[str]) -> str:
        return "\n".join(found[1] + line for line in comments[int(found[2])])

    return _MARK.sub(lines, text)


def _comment_lines(source: str) -> dict[int, tuple[int, str]]:
    """Return the column and text of each line that is a comment only, by its number."""
    found: dict[int, tuple[int, str]] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            text = token.string
            is_alone = token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
            if is_alone and text.isprintable() and not _FOR_TOOLS.match(text):
                found[token.start[0]] = (token.start[1], text)
    except (tokenize.TokenError, SyntaxError):
        return {}  # ast has parsed it, so only the comments are lost
    return found


class _Marking(ast.NodeTransformer):
    """Puts a name before each statement that has comments, for the text to be found again."""

    def __init__(self, comments: list[list[str]]) -> None:
        self._comments = comments

    def generic_visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:  # type: ignore[override]
        super().generic_visit(node)
        lines = getattr(node, "port_comments", None)
        if lines is None or not isinstance(node, ast.stmt):
            return node
        self._comments.append(lines)
        return [ast.Expr(ast.Name(f"__comment_{len(self._comments) - 1}__", ast.Load())), node]
