"""The user's line: where in the user's own code something went wrong, and errors that say so.

A user's function (a model, a loss, a hook) is called by cnnlab and calls TensorFlow. Of a traceback
through all three, only the user's own line helps.

    with user_code():
        logits = model(images, num_classes, training=True)  # an error in here names its line
    raise CnnlabError(f"{place_of(model)} returned {logits}; it must return ...")
"""

from __future__ import annotations

import functools
import inspect
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import reason_of

_LONGEST: Final = 300  # characters of a reason
_CNNLAB: Final = str(Path(__file__).parents[1]) + "/"
_PYTHON: Final = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib"))
_INSTALLED: Final = ("/site-packages/", "/dist-packages/")
_FRAMEWORKS: Final = tuple(
    f"{folder}{package}/"
    for folder in _INSTALLED
    for package in ("tensorflow", "keras", "tf_keras", "numpy")
)
# What TensorFlow adds to its reason: the failed node, and the advice of its Keras layers.
_NODE: Final = re.compile(r" for '\{\{node .*?\}\} = .*?' with input shapes?: ")
_CALLED_LAYER: Final = re.compile(r"^Exception encountered when calling layer.*?\.\s+", re.DOTALL)


@contextmanager
def user_code() -> Iterator[None]:
    """Translate an error in the user's code into one line that begins with the user's line.

    The line is "my_net.py:12 (in net): ValueError: REASON". The original error is its cause. An
    error of cnnlab keeps its class and its words. Where no line is the user's, as in a model of
    cnnlab's own, an error passes unchanged.

    Raises:
        CnnlabError: the user's line, the error's class and its reason.
    """
    try:
        yield
    except Exception as error:
        place = users_line(error)
        if place is None:
            raise
        if isinstance(error, CnnlabError):
            raise type(error)(f"{place}: {error}") from error
        parts = [place, type(error).__name__, _shortened(error)]
        raise CnnlabError(": ".join(part for part in parts if part)) from error


def users_line(error: BaseException) -> str | None:
    """Return the innermost line of the user's that an error passed, as "my_net.py:12 (in net)".

    It is the innermost frame outside installed packages, or else outside TensorFlow, Keras and
    NumPy. Frames of cnnlab and of Python itself never count.

    Returns:
        The line, or None if the error passed none.
    """
    return _innermost(
        (frame.f_code.co_filename, number, frame.f_code.co_name)
        for frame, number in traceback.walk_tb(error.__traceback__)
    )


def place_of_operation(operation: Any) -> str:
    """Return the user's line that made an operation, as `users_line` does, or else its name.

    Args:
        operation: a `tf.Operation`.
    """
    frames = ((frame.filename, frame.lineno, frame.name) for frame in operation.traceback)
    return _innermost(frames) or str(operation.name)


def _innermost(frames: Iterable[tuple[str, int, str]]) -> str | None:
    """Return the innermost line of the user's; see `users_line`.

    Args:
        frames: file, line and function of each frame, the outermost first.
    """
    kept = [frame for frame in frames if not _is_skipped(frame[0])]
    for libraries in (_INSTALLED, _FRAMEWORKS):
        for file, number, name in reversed(kept):
            if not any(part in file for part in libraries):
                return f"{_shown(file)}:{number} (in {name})"
    return None


def place_of(function: Callable[..., Any]) -> str:
    """Return where a function is defined, as "my_net.py:10 (net)", or its name alone.

    Args:
        function: a function, a `functools.partial` of one, or an object that can be called.
    """
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    name = getattr(function, "__name__", type(function).__name__)
    routine = function if inspect.isroutine(function) else type(function).__call__
    code = getattr(routine, "__code__", None)
    return name if code is None else f"{_shown(code.co_filename)}:{code.co_firstlineno} ({name})"


def _is_skipped(file: str) -> bool:
    if file.startswith((_CNNLAB, "<frozen ")):
        return True
    return file.startswith(_PYTHON) and not any(part in file for part in _INSTALLED)


def _shown(file: str) -> str:
    """Return a path relative to the current folder where the file is in it, else unchanged."""
    if "/ipykernel_" in file or file.startswith("<ipython-input"):
        return "cell"
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):  # elsewhere; or the current folder is gone
        return file


def _shortened(error: Exception) -> str:
    """Return the line of the error's text that says what went wrong; "" if it has no text."""
    if hasattr(error, "message"):  # of a TensorFlow operation that ran
        return reason_of(error)
    text = _NODE.sub("; the shapes are ", _CALLED_LAYER.sub("", str(error)))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:_LONGEST].rstrip(" .") if lines else ""
