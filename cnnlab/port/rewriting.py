"""Changes to expressions of a program, so that they work in a model function of cnnlab."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Final

from cnnlab.base.old_names import RENAMED as OLD_NAMES
from cnnlab.port.full_names import FullNames, argument

TRAINING: Final = "training"
# Names of a flag that is true in training.
FLAG: Final = re.compile(
    r"^(is_?|in_?)?(train|training)(_(mode|phase|flag))?$|^phase(_train)?$|^train_(mode|phase|flag)$"
    r"|^mode_train$|^bn_training$|^is_train$|^isTraining$",
    re.IGNORECASE,
)
# Old names of operations that TensorFlow 1.15 and today's `tf.compat.v1` do not have.
RENAMED: Final = {
    **{f"tf.{old}": new for old, new in OLD_NAMES.items()},
    "tf.initialize_all_variables": "global_variables_initializer",
    "tf.contrib.layers.flatten": "layers.flatten",
    "tf.contrib.framework.get_or_create_global_step": "train.get_or_create_global_step",
}
_INITIALIZERS: Final = {
    "tf.contrib.layers.xavier_initializer": "glorot_uniform_initializer",
    "tf.contrib.layers.xavier_initializer_conv2d": "glorot_uniform_initializer",
    "tf.contrib.layers.variance_scaling_initializer": "he_normal_initializer",
}
_POOLS: Final = {"max_pool2d": "max_pooling2d", "avg_pool2d": "average_pooling2d"}
# Arguments of layers of contrib, and those of tf.layers.
_WORDS: Final = {
    "activation_fn": "activation",
    "weights_initializer": "kernel_initializer",
    "weights_regularizer": "kernel_regularizer",
    "biases_initializer": "bias_initializer",
    "biases_regularizer": "bias_regularizer",
    "num_outputs": "filters",
    "stride": "strides",
    "rate": "dilation_rate",
    "scope": "name",
    "is_training": "training",
    "decay": "momentum",
}
_SPOILING: Final = (
    "normalizer_fn",
    "normalizer_params",
    "outputs_collections",
    "updates_collections",
)


def is_confused_dropout(full: str, node: ast.Call) -> bool:
    """Return whether a call of tf.layers.dropout has a flag where noise_shape belongs."""
    has_third = full == "tf.layers.dropout" and len(node.args) == 3
    return has_third and not isinstance(node.args[2], ast.List | ast.Tuple)


class CannotRewriteError(Exception):
    """There is no counterpart of a call; says of what, and at which line."""


class Rewriting(ast.NodeTransformer):
    """Rewrites the calls of one statement.

    Attributes:
        notes: (line, text) of each change.
        uses_training: whether the result reads the name `training`.
    """

    def __init__(
        self,
        names: FullNames,
        tf_name: str,
        placeholders: Mapping[str, Callable[[ast.Call, str], ast.expr]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            names: the full names of the program.
            tf_name: what the program calls TensorFlow.
            placeholders: from the full name of a call to what it becomes, from the call and the
                name that it is assigned to.
        """
        self._names, self._tf = names, tf_name
        self._placeholders = dict(placeholders or {})
        self._target = ""
        self.notes: list[tuple[int, str]] = []
        self.uses_training = False

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        before, self._target = self._target, target.id if isinstance(target, ast.Name) else ""
        self.generic_visit(node)
        if self._is_flag(self._target, node.value):
            node.value = self._training()
        self._target = before
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        for parameter, default in zip(
            reversed(node.args.args), reversed(node.args.defaults), strict=False
        ):
            if self._is_flag(parameter.arg, default):
                node.args.defaults[node.args.defaults.index(default)] = self._training()
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.generic_visit(node)
        if self._is_flag(node.arg or "", node.value):
            node.value = self._training()
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if "ModeKeys.TRAIN" in ast.unparse(node) and isinstance(node.ops[0], ast.Eq | ast.Is):
            return self._training()
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        full = self._names.of_call(node)
        make = self._placeholders.get(full)
        if make is not None:
            new = make(node, self._target)
            self.uses_training |= any(
                isinstance(n, ast.Name) and n.id == TRAINING for n in ast.walk(new)
            )
            return ast.copy_location(new, node)
        self.generic_visit(node)
        rewritten = self._rewritten(full, node)
        if rewritten is None:
            return node
        return ast.fix_missing_locations(ast.copy_location(rewritten, node))

    def _rewritten(self, full: str, node: ast.Call) -> ast.expr | None:
        if full in RENAMED:
            self._note(node, f"{full} is {self._tf}.{RENAMED[full]} today")
            return ast.Call(self._tf_name(RENAMED[full]), node.args, node.keywords)
        if full in _INITIALIZERS:
            return self._initializer(full, node)
        if full == "tf.concat" and len(node.args) == 2 and isinstance(node.args[0], ast.Constant):
            return ast.Call(node.func, node.args[::-1], node.keywords)  # before version 1.0
        if full in ("tf.nn.dropout", "tf.contrib.layers.dropout"):
            return self._dropout(full, node)
        if full in ("tf.layers.dropout", "tf.layers.batch_normalization"):
            return self._with_training(full, node)
        if full == "tf.cond":
            return self._cond(node)
        if full == "tf.contrib.layers.l2_regularizer":
            scale = argument(node, 0, "scale")
            argument_of = ast.Name("weights", ast.Load())
            body = ast.BinOp(
                scale or ast.Constant(0.0),
                ast.Mult(),
                ast.Call(self._tf_name("nn.l2_loss"), [argument_of], []),
            )
            return ast.Lambda(ast.arguments([], [ast.arg("weights")], None, [], [], None, []), body)
        if full.startswith("tf.contrib."):
            return self._contrib(full, node)
        return None

    def _dropout(self, full: str, node: ast.Call) -> ast.expr:
        keep, rate = argument(node, 1, "keep_prob"), argument(node, None, "rate")
        first = argument(node, 0, "x", "inputs")
        if first is None or (keep is None and rate is None):
            keep = ast.Constant(0.5)
        if first is None:
            raise CannotRewriteError(f"the input of {full} at line {node.lineno}")
        if rate is None:
            assert keep is not None
            known = keep.value if isinstance(keep, ast.Constant) else None
            rate = (
                ast.Constant(round(1 - known, 10))
                if isinstance(known, int | float)
                else ast.BinOp(ast.Constant(1), ast.Sub(), keep)
            )
        training = argument(node, None, "is_training") or self._training()
        keywords = [ast.keyword("training", training)]
        for keyword in node.keywords:
            if keyword.arg in ("noise_shape", "name"):
                keywords.append(keyword)
        self._note(node, f"{full} becomes layers.dropout: the same masks after a resumption")
        return ast.Call(self._tf_name("layers.dropout"), [first, rate], keywords)

    def _with_training(self, full: str, node: ast.Call) -> ast.expr | None:
        position = {"tf.layers.dropout": 4, "tf.layers.batch_normalization": 11}[full]
        if is_confused_dropout(full, node):
            text = "the third argument of tf.layers.dropout is noise_shape, not training"
            self._note(node, f"{text}: this dropout never acts, here as in the program")
            del node.args[2]
        if argument(node, position, "training") is not None:
            return None
        what = "dropout never acts" if "dropout" in full else "the moving averages are used"
        self._note(node, f"without training=, the default is False: {what}, here as in the program")
        keywords = [*node.keywords, ast.keyword("training", ast.Constant(False))]
        return ast.Call(node.func, node.args, keywords)

    def _cond(self, node: ast.Call) -> ast.expr | None:
        """Return `f() if training else g()` for `tf.cond(training, f, g)`."""
        test = argument(node, 0, "pred")
        text = ast.unparse(test) if test is not None else ""
        if not FLAG.match(text.rpartition(".")[2]):
            return None
        branches = [argument(node, 1, "true_fn", "fn1"), argument(node, 2, "false_fn", "fn2")]
        if test is None or None in branches:
            return None
        calls = [ast.Call(branch, [], []) for branch in branches if branch is not None]
        self._note(node, "tf.cond of a flag becomes Python's if: training is True or False here")
        return ast.IfExp(test, calls[0], calls[1])

    def _initializer(self, full: str, node: ast.Call) -> ast.expr:
        new = _INITIALIZERS[full]
        uniform = argument(node, 0 if "xavier" in full else None, "uniform")
        if "xavier" in full and isinstance(uniform, ast.Constant) and uniform.value is False:
            new = "glorot_normal_initializer"
        if "variance" in full and node.keywords:
            raise CannotRewriteError(f"{full} with arguments, at line {node.lineno}")
        return ast.Call(self._tf_name(new), [], [k for k in node.keywords if k.arg == "seed"])

    def _contrib(self, full: str, node: ast.Call) -> ast.expr:
        """Return the layer of `tf.layers` for one of contrib or slim, with contrib's defaults."""
        name = full.removeprefix("tf.contrib.layers.")
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        if set(given) & {"normalizer_fn"} or None in given:
            raise CannotRewriteError(f"{full} with normalizer_fn, at line {node.lineno}")
        keywords = {
            _WORDS.get(str(word), str(word)): value
            for word, value in given.items()
            if word not in _SPOILING
        }
        positional = list(node.args)
        if name in ("conv2d", "convolution2d", "convolution"):
            for word in ("filters", "kernel_size", "strides", "padding")[: len(positional) - 1]:
                keywords[word] = positional.pop(1)
            keywords.setdefault("padding", ast.Constant("SAME"))
            new = "conv2d"
        elif name in ("fully_connected", "linear"):
            if len(positional) > 1:
                keywords["filters"] = positional.pop(1)
            keywords["units"] = keywords.pop("filters")
            if len(positional) > 1:
                keywords["activation"] = positional.pop(1)
            new = "dense"
        elif name in _POOLS:
            for word in ("pool_size", "strides", "padding")[: len(positional) - 1]:
                keywords[word] = positional.pop(1)
            if "kernel_size" in keywords:
                keywords["pool_size"] = keywords.pop("kernel_size")
            keywords.setdefault("strides", ast.Constant(2))
            new = _POOLS[name]
        elif name == "batch_norm":
            for word, value in (("momentum", 0.999), ("scale", False), ("epsilon", 0.001)):
                keywords.setdefault(word, ast.Constant(value))
            keywords.setdefault("training", self._training())
            nothing = keywords.pop("activation", ast.Constant(None))
            if not (isinstance(nothing, ast.Constant) and nothing.value is None):
                raise CannotRewriteError(f"{full} with activation_fn, at line {node.lineno}")
            new = "batch_normalization"
        else:
            raise CannotRewriteError(f"{full} has no counterpart (line {node.lineno})")
        if new in ("conv2d", "dense"):
            default = None if name == "linear" else self._tf_name("nn.relu")
            keywords.setdefault("activation", default or ast.Constant(None))
            keywords.setdefault("kernel_initializer", ast.Constant("glorot_uniform"))
            bias = keywords.get("bias_initializer")
            if isinstance(bias, ast.Constant) and bias.value is None:
                del keywords["bias_initializer"]
                keywords["use_bias"] = ast.Constant(False)
        self._note(node, f"{full} becomes layers.{new} with contrib's defaults written out")
        called = self._tf_name(f"layers.{new}")
        return ast.Call(called, positional, [ast.keyword(w, v) for w, v in keywords.items()])

    def _is_flag(self, name: str, value: ast.expr) -> bool:
        """Return whether a value is the constant True of a flag of training."""
        return (
            FLAG.match(name) is not None and isinstance(value, ast.Constant) and value.value is True
        )

    def _training(self) -> ast.Name:
        self.uses_training = True
        return ast.Name(TRAINING, ast.Load())

    def _tf_name(self, path: str) -> ast.expr:
        node: ast.expr = ast.Name(self._tf, ast.Load())
        for part in path.split("."):
            node = ast.Attribute(node, part, ast.Load())
        return node

    def _note(self, node: ast.AST, text: str) -> None:
        self.notes.append((getattr(node, "lineno", 0), text))
