"""What a program minimizes: its loss, in the forms that programs of TensorFlow 1 write it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from typing import Final

from cnnlab.port.full_names import argument
from cnnlab.port.story import Story

Located = tuple[ast.expr, int]  # an expression, and the item before which it is evaluated


class NotFoundError(Exception):
    """What a script needs is not in the program, or not in a form that is known; says what."""


@dataclass(frozen=True)
class Loss:
    """A loss.

    Attributes:
        kind: "softmax", "sigmoid" or "mse".
        logits: the network's output, for "softmax" and "sigmoid" before that function.
        labels: what it is compared with.
        factor: factor on the mean over the images.
        is_sum: whether it is the sum over the images, not the mean.
        over_classes: whether this mean or sum also goes over the classes.
        of_probabilities: whether `logits` are probabilities, of which the program takes the log.
        penalties: terms of the weights that are added to it.
    """

    kind: str
    logits: Located
    labels: Located
    factor: float = 1.0
    is_sum: bool = False
    over_classes: bool = False
    of_probabilities: bool = False
    penalties: tuple[Located, ...] = field(default=())


_CROSS_ENTROPY: Final = re.compile(
    r"^tf\.nn\.(sparse_)?(softmax|sigmoid)_cross_entropy_with_logits(_v2)?$"
)
_OF_LOSSES: Final = re.compile(
    r"^tf\.(losses|contrib\.losses|contrib\.slim\.losses)\.(sparse_)?(softmax|sigmoid)_cross_entropy$"
)
_MSE: Final = re.compile(r"^tf\.(contrib\.)?losses\.mean_squared_error$")
_SAME: Final = ("tf.identity", "tf.cast", "tf.to_float", "tf.stop_gradient")
_COLLECTED: Final = re.compile(
    r"get_collection|get_regularization_loss|REGULARIZATION_LOSSES|apply_regularization"
)


def find_loss(story: Story, node: ast.expr, index: int) -> Loss:
    """Return the loss that an expression is.

    Args:
        story: the program.
        node: the expression that the optimizer minimizes.
        index: the item that minimizes it.

    Raises:
        NotFoundError: its form is not known.
    """
    found = _find(story, node, index)
    if found is None:
        shown, _ = story.resolved(node, index)
        text = " ".join(ast.unparse(shown).split())
        raise NotFoundError(f"a loss of a known form; this one is {text[:120]}")
    return found


def _find(story: Story, node: ast.expr, index: int) -> Loss | None:
    node, index = story.resolved(node, index)
    full = story.names.of_call(node)
    match node:
        case ast.BinOp(op=ast.Add()):
            return _of_sum(story, [node.left, node.right], index)
        case ast.BinOp(op=ast.Mult() | ast.Div()):
            return _scaled(story, node, index)
        case ast.UnaryOp(op=ast.USub()):
            return _negative(story, node.operand, index)
        case ast.Call():
            first = argument(node, 0, "input_tensor", "input", "inputs")
            if full == "tf.add":
                return _of_sum(story, node.args, index)
            if full == "tf.add_n" and isinstance(first, ast.List | ast.Tuple):
                return _of_sum(story, first.elts, index)
            if _COLLECTED.search(ast.unparse(node)) or full.endswith("get_total_loss"):
                return _of_collection(story, index)
            if full == "tf.negative" and first is not None:
                return _negative(story, first, index)
            if full in _SAME and first is not None:
                return _find(story, first, index)
            if full in ("tf.reduce_mean", "tf.reduce_sum") and first is not None:
                return _reduced(story, node, first, index)
            if _OF_LOSSES.match(full):
                labels = argument(node, 0, "labels", "onehot_labels", "multi_class_labels")
                return _cross_entropy(full, labels, argument(node, 1, "logits"), index)
            if _MSE.match(full):
                labels = argument(node, 0, "labels")
                return _squared(labels, argument(node, 1, "predictions"), index)
    return None


def _of_sum(story: Story, terms: list[ast.expr], index: int) -> Loss | None:
    """Return the loss of which one term is known, and the others are penalties."""
    found = [(_find(story, term, index), term) for term in terms]
    losses = [loss for loss, _ in found if loss is not None]
    if len(losses) != 1:
        return None
    penalties = []
    for loss, term in found:
        shown, _ = story.resolved(term, index)
        if loss is None and not _COLLECTED.search(ast.unparse(shown)):
            penalties.append((term, index))
    return replace(losses[0], penalties=(*losses[0].penalties, *penalties))


def _of_collection(story: Story, index: int) -> Loss | None:
    """Return the loss that the program has put into a collection."""
    for i in range(index - 1, -1, -1):
        item = story.items[i]
        if item.is_function:
            continue
        for call in ast.walk(item.node):
            full = story.names.of_call(call)
            if full.endswith("add_to_collection") and isinstance(call, ast.Call):
                value = argument(call, 1, "value")
                found = _find(story, value, i) if value is not None else None
                if found is not None:
                    return found
            elif _OF_LOSSES.match(full) and isinstance(call, ast.Call):
                return _find(story, call, i)
    return None


def _scaled(story: Story, node: ast.BinOp, index: int) -> Loss | None:
    left, right = story.value(node.left, index), story.value(node.right, index)
    is_division = isinstance(node.op, ast.Div)
    if isinstance(right, int | float):
        found, factor = _find(story, node.left, index), 1 / right if is_division else right
    elif isinstance(left, int | float) and not is_division:
        found, factor = _find(story, node.right, index), left
    else:
        return None
    return found and replace(found, factor=found.factor * factor)


def _negative(story: Story, node: ast.expr, index: int) -> Loss | None:
    """Return the loss -sum(y * log(p)) or -mean(y * log(p)); also of a factor."""
    node, index = story.resolved(node, index)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _scaled(
            story, ast.BinOp(ast.UnaryOp(ast.USub(), node.left), node.op, node.right), index
        )
    if story.names.of_call(node) not in ("tf.reduce_sum", "tf.reduce_mean"):
        return None
    assert isinstance(node, ast.Call)
    first = argument(node, 0, "input_tensor")
    return None if first is None else _reduced(story, node, ast.UnaryOp(ast.USub(), first), index)


def _reduced(story: Story, call: ast.Call, inner: ast.expr, index: int) -> Loss | None:
    """Return the loss that is the mean or the sum of losses of images."""
    is_sum = story.names.of_call(call) == "tf.reduce_sum"
    axis = argument(call, 1, "axis", "reduction_indices")
    if axis is not None and story.value(axis, index) not in (0, [0], (0,)):
        return None  # over the classes: see `_per_image`
    found = _per_image(story, inner, index)
    return found and replace(found, is_sum=is_sum)


def _per_image(story: Story, node: ast.expr, index: int) -> Loss | None:
    """Return the loss whose value for each image, or for each image and class, is `node`."""
    node, index = story.resolved(node, index)
    full = story.names.of_call(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner, place = story.resolved(node.operand, index)
        if story.names.of_call(inner) == "tf.reduce_sum" and isinstance(inner, ast.Call):
            value = argument(inner, 0, "input_tensor")
            return None if value is None else _log_product(story, value, place)
        found = _log_product(story, inner, place)  # over images and classes at once
        return found and replace(found, over_classes=True)
    if _CROSS_ENTROPY.match(full) and isinstance(node, ast.Call):
        logits, labels = argument(node, None, "logits"), argument(node, None, "labels")
        if len(node.args) == 2:  # before version 1.0, in this order
            logits, labels = node.args
        return _cross_entropy(full, labels, logits, index)
    if full == "tf.reduce_sum" and isinstance(node, ast.Call):
        value = argument(node, 0, "input_tensor")
        if isinstance(value, ast.UnaryOp):
            return _log_product(story, value.operand, index)
        return None
    return _square(story, node, index)


def _log_product(story: Story, node: ast.expr, index: int) -> Loss | None:
    """Return the cross-entropy of labels and probabilities, from `labels * tf.log(p)`."""
    node, index = story.resolved(node, index)
    factors = [node.left, node.right] if isinstance(node, ast.BinOp) else []
    if story.names.of_call(node) in ("tf.multiply", "tf.mul") and isinstance(node, ast.Call):
        factors = node.args
    for log, labels in (factors, factors[::-1]) if len(factors) == 2 else ():
        log, place = story.resolved(log, index)
        if story.names.of_call(log) not in ("tf.log", "tf.math.log"):
            continue
        assert isinstance(log, ast.Call)
        value, place = story.resolved(log.args[0], place)
        if story.names.of_call(value) == "tf.clip_by_value" and isinstance(value, ast.Call):
            value, place = story.resolved(value.args[0], place)
        if isinstance(value, ast.BinOp) and isinstance(story.value(value.right, place), float):
            value, place = story.resolved(value.left, place)  # p + 1e-10
        if story.names.of_call(value) == "tf.nn.softmax" and isinstance(value, ast.Call):
            logits = argument(value, 0, "logits")
            assert logits is not None
            return Loss("softmax", (logits, place), (labels, index))
        return Loss("softmax", (value, place), (labels, index), of_probabilities=True)
    return None


def _square(story: Story, node: ast.expr, index: int) -> Loss | None:
    """Return the mean squared error, from `tf.square(a - b)`."""
    full = story.names.of_call(node)
    sides: list[ast.expr] = []
    if full in ("tf.square", "tf.pow") and isinstance(node, ast.Call):
        inner, index = story.resolved(node.args[0], index)
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
            sides = [inner.left, inner.right]
        elif story.names.of_call(inner) in ("tf.subtract", "tf.sub"):
            assert isinstance(inner, ast.Call)
            sides = inner.args
    elif full == "tf.squared_difference" and isinstance(node, ast.Call):
        sides = node.args
    if len(sides) != 2:
        return None
    labels, output = sides
    if _has_variables(story, labels, index):
        labels, output = output, labels
    return _squared(labels, output, index)


def _has_variables(story: Story, node: ast.expr, index: int) -> bool:
    """Return whether an expression depends on variables or layers."""
    items = [story.items[i].node for i in story.slice_of([node], index)]
    text = "\n".join(map(ast.unparse, [*items, node]))
    return re.search(r"Variable\(|get_variable|layers\.|matmul|conv2d", text) is not None


def _squared(labels: ast.expr | None, output: ast.expr | None, index: int) -> Loss | None:
    if labels is None or output is None:
        return None
    return Loss("mse", (output, index), (labels, index), over_classes=True)


def _cross_entropy(
    full: str, labels: ast.expr | None, logits: ast.expr | None, index: int
) -> Loss | None:
    if labels is None or logits is None:
        return None
    kind = "sigmoid" if "sigmoid" in full else "softmax"
    return Loss(kind, (logits, index), (labels, index), over_classes=kind == "sigmoid")
