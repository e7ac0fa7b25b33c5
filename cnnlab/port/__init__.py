"""Port: what to change in a program of TensorFlow 1, and a first script for cnnlab.

    from cnnlab.port import port
    print(port("old.py", out="new.py")["notes"])

The program is parsed, never executed, and TensorFlow is not imported.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, Final

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import read_text, write_output
from cnnlab.port.advising import Note, loop_notes, notes_on, version_of
from cnnlab.port.command_line_flags import flag_values
from cnnlab.port.comments import attach_comments
from cnnlab.port.first_script import write_script
from cnnlab.port.flag_arguments import name_flags
from cnnlab.port.flattening import Flattening
from cnnlab.port.full_names import FullNames
from cnnlab.port.losses_found import NotFoundError
from cnnlab.port.own_modules import with_own_modules
from cnnlab.port.recognising import recognise
from cnnlab.port.story import Story

MAX_BYTES: Final = 2_000_000  # of a program


def port(
    program: str | Path, *, out: str | Path | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Say what to change in a program of TensorFlow 1, and write a first script for cnnlab.

    Args:
        program: path of a Python file. Modules of its own, beside it, are read too.
        out: Python file to write the script to; it is not written if the shape of the program is
            not recognised.
        overwrite: whether `out` may be replaced.

    Returns:
        program; tensorflow, the version that it is written for, 0 if it uses none; notes, a list of
        line, what, kind, to and why, in the order of the lines; script, the text of the script or
        None; missing, what stood in its way, or None; assumed, a list of line and text of what the
        script takes for granted; and out, the written file, or None.

    Raises:
        UsageError: `out` exists or is the program.
        CnnlabError: the program cannot be read, or is no Python 3.
    """
    path = Path(program)
    target = None if out is None else Path(out)
    if target is not None:
        _check_target(target, path, overwrite)
    source = _read(path)
    tree = _parse(path, source)
    names = FullNames(tree)
    answer: dict[str, Any] = {"program": str(path), "tensorflow": version_of(tree, names)}
    notes = sorted({*notes_on(tree, names), *loop_notes(tree, names)})
    script: str | None = None
    missing: str | None = None
    assumed: list[tuple[int, str]] = []
    if answer["tensorflow"] == 1:
        try:
            script, assumed = _script(path, source)
        except NotFoundError as error:
            missing = str(error)
        except RecursionError:
            missing = "a program whose expressions are less deep"
    elif answer["tensorflow"] == 2:
        missing = "a program of TensorFlow 1; this one is for TensorFlow 2 or Keras"
        notes = []
    else:
        missing, notes = "TensorFlow: the program does not use it", []
    if script is not None and target is not None:
        write_output(target, script)
    return {
        **answer,
        "notes": [note._asdict() for note in notes],
        "script": script,
        "missing": missing,
        "assumed": [{"line": line, "text": text} for line, text in assumed],
        "out": str(target) if script is not None and target is not None else None,
    }


def _script(path: Path, source: str) -> tuple[str, list[tuple[int, str]]]:
    """Return the script and what it assumes.

    Raises:
        NotFoundError: the shape of the program is not recognised.
    """
    tree = _parse(path, source)
    try:
        with_own_modules(tree, path.parent, lambda module: _parse(module, _read(module)))
    except CnnlabError as error:
        raise NotFoundError(f"a module that can be read: {error}") from error
    name_flags(tree)
    names = FullNames(tree)
    story = Story(Flattening(tree, names).items, names, flag_values(tree, names))
    found = recognise(story, source)
    return write_script(found, path.name), sorted(set(found.notes))


def _check_target(target: Path, program: Path, overwrite: bool) -> None:
    if target.resolve() == program.resolve():
        raise UsageError(f"--out={target} is the program itself; choose another file")
    if target.exists() and not overwrite:
        raise UsageError(f"--out={target} exists; choose another file, or use --overwrite")


def _read(path: Path) -> str:
    try:
        return read_text(path, MAX_BYTES)
    except OSError as error:
        raise CnnlabError(f"cannot read {path}: {error.strerror}") from error


def _parse(path: Path, source: str) -> ast.Module:
    """Return the syntax tree.

    Raises:
        CnnlabError: it is no Python 3; names the line.
    """
    try:
        return attach_comments(ast.parse(source), source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        place = f"{path}:{line}" if line else str(path)
        reason = getattr(error, "msg", None) or str(error) or "too deep"
        hint = ""
        if "print" in reason or "exec" in reason or "exception types" in reason or "tabs" in reason:
            hint = "; this is Python 2: convert it to Python 3 first"
        raise CnnlabError(f"{place}: {reason.partition('. Did')[0]}{hint}") from error


__all__ = ["Note", "port"]
