"""Calls of the user's functions, and checks of what they return.

Every error is one line that begins with the user's own line, or with the place of the function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.base.user_code import place_of, user_code

# Operations that run Python code, which TensorFlow takes for stateful.
PYTHON_CODE: Final = ("EagerPyFunc", "PyFunc")
# They count as stateful, but have no result, or the result of what is inside.
_HARMLESS: Final = {
    *("Assert", "CheckNumerics", "Print", "PrintV2", "StringFormat"),
    *("Case", "If", "While", "PartitionedCall", "StatefulPartitionedCall"),
    *("Placeholder", "_Arg", "_Retval"),
}


def check_call(function: Callable[..., Any], form: str, flag: str, **options: Any) -> None:
    """Check that a function can be called as cnnlab will call it. It is not called.

    Args:
        function: a function or another object that can be called.
        form: the call, as in "loss(labels, logits)".
        flag: the option that names the function, for messages.
        **options: arguments that are passed by name.

    Raises:
        UsageError: it takes other arguments.
    """
    positional = form.partition("(")[2].rstrip(")").split(", ")
    try:
        inspect.signature(function).bind(*positional, **options)
    except ValueError:  # a builtin, of which no one knows the arguments
        return
    except TypeError as error:
        raise UsageError(
            f"{flag}: {place_of(function)} cannot be called as {form}: {error}"
        ) from error


def call_own(function: Callable[..., Any], wanted: str, *arguments: Any, **options: Any) -> Any:
    """Call a function of the user's, and return the tensor that it returns.

    A number becomes a float32 scalar.

    Args:
        function: the user's function.
        wanted: what it must return, for messages, as in "float32 [batch]".
        *arguments, **options: are passed to the function.

    Raises:
        CnnlabError: the function fails, or returns something else than a tensor.
    """
    with user_code():
        result = function(*arguments, **options)
    if isinstance(result, tf.Variable):
        return result.read_value()
    if isinstance(result, int | float) and not isinstance(result, bool):
        return tf.constant(result, tf.float32)
    if not isinstance(result, tf.Tensor):
        raise wrong_result(function, described(result), wanted)
    return result


def wrong_result(function: Callable[..., Any], found: str, wanted: str) -> CnnlabError:
    """Return the error of a function that returned something else than it must.

    Args:
        function: the user's function.
        found: what it returned.
        wanted: what it must return.
    """
    return CnnlabError(f"{place_of(function)} returned {found}; it must return {wanted}")


def described(value: Any) -> str:
    """Return what a value is, as in "float32 [batch, 10]" or "a tuple"."""
    if isinstance(value, tf.Tensor):
        if value.shape.rank is None:
            return f"{value.dtype.name} of unknown shape"
        sizes = ["?" if size is None else str(size) for size in value.shape.as_list()]
        return f"{value.dtype.name} [{', '.join(sizes)}]"
    if value is None:
        return "None"
    kind = type(value)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]} "
    return f"an object of type {home}{kind.__name__}"


def check_stateless(
    function: Callable[..., Any], graph: Any, cure: str, allowed: Sequence[str] = ()
) -> None:
    """Refuse operations whose results depend on more than their inputs.

    Args:
        function: the user's function that made all operations of the graph.
        graph: a `tf.Graph`.
        cure: what to use instead.
        allowed: types of operations that may have state.

    Raises:
        CnnlabError: names the first such operation.
    """
    definition = graph.as_graph_def()
    functions = definition.library.function  # bodies of loops and branches
    nodes = [*definition.node, *(node for function in functions for node in function.node_def)]
    for node in nodes:
        is_stateful = graph.op_def_for_type(node.op).is_stateful
        if is_stateful and node.op not in (*_HARMLESS, *allowed):
            raise CnnlabError(
                f"{place_of(function)} makes the operation {node.name} ({node.op}), whose result "
                f"depends on more than its inputs; {cure}"
            )
