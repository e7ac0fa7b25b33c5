"""Running the program as Python would: its own `__main__`, arguments and folder of modules."""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.printing import print_as_is
from cnnlab.base.signals import Interrupted
from cnnlab.base.tf1 import tf
from cnnlab.config.cli import complain
from cnnlab.run_tf1.noted import is_library
from cnnlab.run_tf1.old_source import Program, module_complaint, syntax_complaint


def run_program(program: Program, arguments: Sequence[str]) -> int:
    """Run a program to its end, and return its exit code.

    An exception that it does not catch is shown as Python shows it, without cnnlab's own lines. An
    error of cnnlab's is one line.
    """
    main = ModuleType("__main__")
    vars(main).update(__file__=program.path, __builtins__=__builtins__, __spec__=None)
    sys.modules["__main__"] = main
    sys.argv = [program.path, *arguments]
    sys.path[0] = str(Path(program.path).resolve().parent)
    try:
        exec(program.code, vars(main))
    except SystemExit as stopped:
        return _exit_code(stopped.code)
    except (KeyboardInterrupt, Interrupted):
        raise
    except BaseException as error:
        return _complained(error, program)
    return 0


def _exit_code(code: Any) -> int:
    if code is None or isinstance(code, int):
        return code or 0
    print_as_is(str(code), to_stderr=True)
    return 1


def _complained(error: BaseException, program: Program) -> int:
    """Show an error of the program, and return the exit code."""
    file, number = _place_of(error.__traceback__)
    line = f"{os.path.basename(file)}:{number}" if file else ""
    if isinstance(error, CnnlabError):
        text = str(error)
        complain(text if not line or text.startswith(f"{line}:") else f"{line}: {text}")
        return error.exit_code
    if isinstance(error, SyntaxError) and error.filename:
        complain(str(syntax_complaint(error, error.filename, _source_of(error.filename))))
        return 2
    if isinstance(error, ModuleNotFoundError) and (hint := module_complaint(error, file)):
        complain(f"{line}: {error}: {hint}" if line else f"{error}: {hint}")
        return 1
    if reason := _plain_reason(error):
        complain(f"{line}: {reason}" if line else reason)
        return 1
    traceback.print_exception(type(error), error, _of_program(error.__traceback__))
    return 1


def _plain_reason(error: BaseException) -> str:
    """Return what is missing where a traceback would say no more, or ""."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename}: there is no such file or folder, and the program needs it"
    text = str(error)
    if isinstance(error, tf.errors.NotFoundError) and "No such file or directory" in text:
        return f"a file that the program needs is not there: {text.splitlines()[0][:200]}"
    if "no display name" in text or "connect to display" in text:
        return "the program opens a window, and there is no display: xvfb-run provides one"
    return ""


def _source_of(file: str) -> str:
    return "".join(linecache.getlines(file))


def _place_of(trace: TracebackType | None) -> tuple[str, int]:
    """Return the program's innermost file and line that an error passed; ("", 0): none."""
    found = ("", 0)
    for frame, number in traceback.walk_tb(trace):
        file = frame.f_code.co_filename
        if not is_library(file):
            found = (file, number)
    return found


def _of_program(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the program's first line on."""
    while trace is not None and is_library(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace
