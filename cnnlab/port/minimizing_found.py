"""The statement that minimizes a program's loss, and its optimizer."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from cnnlab.port.full_names import argument, calls_of_methods
from cnnlab.port.losses_found import NotFoundError
from cnnlab.port.story import Story


@dataclass(frozen=True)
class Minimizing:
    """The statement that minimizes the loss.

    Attributes:
        index: the item.
        loss: the expression that is minimized.
        optimizer: the call that makes the optimizer, and the item before which it is made.
        counts: whether the optimizer counts steps in a variable.
    """

    index: int
    loss: ast.expr
    optimizer: ast.Call
    optimizer_index: int
    counts: bool


def find_minimizing(story: Story) -> Minimizing:
    """Return the statement that minimizes the loss.

    Raises:
        NotFoundError: there is none, there are several, or it does more than a first script can.
    """
    found = []
    for i, item in enumerate(story.items):
        if not item.is_function:
            calls = calls_of_methods(item.node, "minimize", "compute_gradients")
            found += [(i, call) for call in calls]
    if not found:
        raise NotFoundError(f"an optimizer's minimize(loss); {_other_training(story)}")
    losses = {ast.unparse(call.args[0] if call.args else call) for _, call in found}
    if len(losses) > 1:
        lines = ", ".join(str(call.lineno) for _, call in found)
        raise NotFoundError(f"one loss; the program minimizes several, at lines {lines}")
    i, call = found[0]
    assert isinstance(call.func, ast.Attribute)
    optimizer, place = story.resolved(call.func.value, i)
    loss = argument(call, 0, "loss")
    if not isinstance(optimizer, ast.Call) or loss is None:
        raise NotFoundError(f"the optimizer that line {call.lineno} uses")
    _check_plain(story, i, call)
    counts = argument(call, 1, "global_step") is not None or call.func.attr != "minimize"
    return Minimizing(i, loss, optimizer, place, counts)


def _other_training(story: Story) -> str:
    """Return how a program trains that minimizes nothing itself."""
    for item in story.items:
        for call in ast.walk(item.node):
            full = story.names.of_call(call)
            if full.endswith((".create_train_op", ".optimize_loss")):
                return f"line {call.lineno} trains with {full}"  # type: ignore[attr-defined]
        for call in () if item.is_function else calls_of_methods(item.node, "fit"):
            return f"line {call.lineno} trains with fit, as Keras does"
    return "the program does not train a network"


def _check_plain(story: Story, index: int, call: ast.Call) -> None:
    """Refuse training that a first script would leave out without a word.

    Args:
        story: the program.
        index: the item that minimizes the loss.
        call: the call of minimize or compute_gradients.
    """
    assert isinstance(call.func, ast.Attribute)
    is_minimize = call.func.attr == "minimize"
    if argument(call, 2 if is_minimize else 1, "var_list") is not None:
        raise NotFoundError(
            f"an option for var_list= (line {call.lineno}); the option trainable chooses variables "
            "by their names"
        )
    for i, item in enumerate(story.items):
        for applied in [] if is_minimize else calls_of_methods(item.node, "apply_gradients"):
            gradients = argument(applied, 0, "grads_and_vars")
            origin = None if gradients is None else story.resolved(gradients, i)[0]
            if origin is None or ast.dump(origin) != ast.dump(call):
                raise NotFoundError(
                    f"a plain update; line {applied.lineno} applies gradients that are changed "
                    "before; the options clip_norm and optimizer can do that"
                )
        for node in ast.walk(item.node):
            if not isinstance(node, ast.Attribute | ast.Name):
                continue
            if story.names.of(node) == "tf.train.ExponentialMovingAverage":
                raise NotFoundError(
                    f"a script without ExponentialMovingAverage (line {node.lineno}); "
                    "the option ema_decay averages weights"
                )
