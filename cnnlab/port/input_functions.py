"""Inputs that come from no placeholder: iterators of tf.data, and the features of an Estimator."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Final

from cnnlab.port.full_names import argument

# The names of the placeholders that stand for them.
IMAGES_OF_INPUT: Final = "cnnlab_images"
LABELS: Final = "cnnlab_labels"
_IMAGES_TEXT: Final = f"tf.placeholder(tf.float32, name='{IMAGES_OF_INPUT}')"
_LABELS_TEXT: Final = f"tf.placeholder(tf.int64, [None], name='{LABELS}')"


def batch_of_iterator(target: ast.expr, statement: ast.stmt) -> list[ast.stmt]:
    """Return the statements that stand for `images, labels = iterator.get_next()`."""
    if isinstance(target, ast.Tuple) and len(target.elts) == 2:
        texts = [
            f"{ast.unparse(target.elts[0])} = {_IMAGES_TEXT}",
            f"{ast.unparse(target.elts[1])} = {_LABELS_TEXT}",
        ]
    else:
        texts = [f"{ast.unparse(target)} = ({_IMAGES_TEXT}, {_LABELS_TEXT})"]
    return [_at(ast.parse(text).body[0], statement) for text in texts]


def keys_of_features(tree: ast.Module) -> list[str]:
    """Return the keys of the images in the features that an input function returns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("numpy_input_fn"):
            value = argument(node, 0, "x")
            if isinstance(value, ast.Dict):
                return [str(k.value) for k in value.keys if isinstance(k, ast.Constant)]
    return []


def body_of_model_function(
    function: ast.FunctionDef, call: ast.Call, keys: list[str]
) -> list[ast.stmt]:
    """Return the body of an Estimator's model function, as for training.

    Args:
        function: the function (features, labels, mode, params).
        call: the call that makes the Estimator.
        keys: see `keys_of_features`.
    """
    names = [a.arg for a in function.args.args]
    images = f"{{{keys[0]!r}: {_IMAGES_TEXT}}}" if keys else _IMAGES_TEXT
    texts = [f"{names[0]} = {images}"]
    if len(names) > 1:
        texts.append(f"{names[1]} = {_LABELS_TEXT}")
    parameters = argument(call, None, "params")
    if parameters is not None and "params" in names:
        texts.append(f"params = {ast.unparse(parameters)}")
    start = [_at(ast.parse(text).body[0], function) for text in texts]
    return [*start, *_of_training(copy.deepcopy(function.body))]


def _of_training(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run in the mode TRAIN."""
    for node in statements:
        if isinstance(node, ast.Return):
            if node.value is not None:
                yield ast.copy_location(ast.Expr(node.value), node)
        elif isinstance(node, ast.If) and "mode" in ast.unparse(node.test).lower():
            text = ast.unparse(node.test)
            is_other = ("PREDICT" in text or "EVAL" in text or "INFER" in text) and (
                "TRAIN" not in text and "!=" not in text
            )
            yield from _of_training(node.orelse if is_other else node.body)
        else:
            yield node


def _at(node: ast.stmt, place: ast.AST) -> ast.stmt:
    """Return a statement with the line of another one."""
    for inner in ast.walk(node):
        if hasattr(inner, "lineno"):
            ast.copy_location(inner, place)
    return node
