"""The options of `Train` in a first script, and the functions that they need."""

from __future__ import annotations

import ast
import copy
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final

from cnnlab.port.comments import unparse
from cnnlab.port.full_names import FullNames, argument
from cnnlab.port.losses_found import NotFoundError
from cnnlab.port.minimizing_found import Minimizing
from cnnlab.port.name_uses import bound_in
from cnnlab.port.recognising import Recognised

_OPTIMIZERS: Final[dict[str, tuple[str, dict[str, tuple[int, float | None]]]]] = {
    "tf.train.GradientDescentOptimizer": ("sgd", {}),
    "tf.train.AdamOptimizer": (
        "adam",
        {"beta1": (1, 0.9), "beta2": (2, 0.999), "epsilon": (3, 1e-8)},
    ),
    "tf.train.MomentumOptimizer": ("momentum", {"momentum": (1, None)}),
    "tf.train.RMSPropOptimizer": (
        "rmsprop",
        {"rho": (1, 0.9), "momentum": (2, 0.0), "epsilon": (3, 1e-10)},
    ),
    "tf.train.AdagradOptimizer": ("adagrad", {}),
}
_TF_WORDS: Final = {"rho": "decay"}

MAX_ROUNDS: Final = 100_000  # of a loop whose learning rates are written as a list


def write_options(
    found: Recognised, tf_name: str, outside: Sequence[ast.stmt]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the options of Train, name to text, and the definitions that they need.

    Args:
        found: what the program is.
        tf_name: what the script calls TensorFlow.
        outside: the statements of the script outside its model function.

    Raises:
        NotFoundError: the optimizer, the schedule or the loss has no counterpart.
    """
    writing = _Options(found, tf_name, outside)
    return writing.options(), writing.functions


class _Options:
    """Writes the options of one script."""

    def __init__(self, found: Recognised, tf_name: str, outside: Sequence[ast.stmt]) -> None:
        self._found, self._story, self._names = found, found.story, found.story.names
        self._tf, self._outside = tf_name, outside
        self.functions: list[str] = []

    def options(self) -> list[tuple[str, str]]:
        """Return the options of Train as texts."""
        found, options = self._found, dict(self._found.options)
        texts: dict[str, Any] = {"model": found.function_name, "dataset": repr(found.dataset)}
        for option in ("validation_split", "batch_size", "steps", "epochs", "seed"):
            if option in options:
                value = options.pop(option)
                is_held = option == "validation_split"
                texts[option] = f"{round(value * 60000)} / 60000" if is_held else repr(value)
        texts |= self._optimizer(found.minimizing)
        if found.rate is None:
            texts["learning_rate"] = repr(options.pop("learning_rate"))
            texts["schedule"] = repr("constant")
        else:
            self.functions.append(self._schedule_of_rounds() or self._schedule())
            texts["schedule"] = "schedule"
        texts |= self._loss()
        texts["save_dir"] = repr("./save/port")
        return list(texts.items())

    def _optimizer(self, minimizing: Minimizing) -> dict[str, str]:
        call, index = minimizing.optimizer, minimizing.optimizer_index
        full = self._names.of_call(call)
        known = _OPTIMIZERS.get(full)
        if known is not None and self._uses_only(call, known[1]):
            name, settings = known
            texts = {"optimizer": repr(name)}
            for option, (position, default) in settings.items():
                node = argument(call, position, _TF_WORDS.get(option, option))
                value = default if node is None else self._story.value(node, index)
                if not isinstance(value, int | float):
                    raise NotFoundError(f"the {option} of {full}, line {call.lineno}")
                if value != default:
                    texts[option] = repr(value)
            if name == "momentum":
                nesterov = argument(call, 4, "use_nesterov")
                if nesterov is not None and self._story.value(nesterov, index):
                    texts["optimizer"] = repr("nesterov")
            return texts
        if not full.startswith("tf.train."):
            raise NotFoundError(f"an optimizer of tf.train; line {call.lineno} uses {full}")
        given = []
        for value, word in [
            *((a, None) for a in call.args[1:]),
            *((k.value, k.arg) for k in call.keywords),
        ]:
            if word != "learning_rate":
                number = self._story.value(value, index)
                if not isinstance(number, int | float | bool | str):
                    raise NotFoundError(f"the arguments of {full}, line {call.lineno}")
                given.append(repr(number) if word is None else f"{word}={number!r}")
        words = ", ".join(["learning_rate", *given])
        self.functions.append(
            "def optimizer(learning_rate):\n"
            f"    return {self._tf}{full.removeprefix('tf')}({words})"
        )
        return {"optimizer": "optimizer"}

    @staticmethod
    def _uses_only(call: ast.Call, settings: dict[str, Any]) -> bool:
        words = {"learning_rate", "use_locking", "name", "use_nesterov"}
        words |= {_TF_WORDS.get(option, option) for option in settings}
        return all(k.arg in words for k in call.keywords) and len(call.args) <= len(settings) + 1

    def _schedule(self) -> str:
        """Return the function of the learning rate."""
        assert self._found.rate is not None
        node, index = self._found.rate
        counter, story = self._found.counter, self._story
        needed = story.slice_of([node], index)
        bound = set().union(*(story.bound[i] for i in needed))
        body: list[ast.stmt] = []
        for i in needed:
            item = story.items[i].node
            if counter in story.bound[i] or isinstance(item, ast.Import | ast.ImportFrom):
                continue
            if story.items[i].is_function or story.makes_graph(item):
                raise NotFoundError(f"a simple schedule; its rate uses line {item.lineno}")
            body.append(story.literal(copy.deepcopy(item), i, bound))
        is_tensor = story.names.of_call(node).startswith("tf.") or any(
            story.names.of_call(n).startswith("tf.") for n in ast.walk(node)
        )
        step = "step" if is_tensor else f"{self._tf}.cast(step, {self._tf}.float32)"
        result = _Step(counter, step, self._tf, self._names).visit(copy.deepcopy(node))
        lines = [ast.unparse(s) for s in body if not self._is_outside(s)]
        lines.append(f"return {ast.unparse(result)}")
        return "def schedule(step):\n" + textwrap.indent("\n".join(lines), "    ")

    def _schedule_of_rounds(self) -> str | None:
        """Return the function of a rate that depends on a loop; None: it is a formula."""
        found, story = self._found, self._story
        assert found.rate is not None
        node, index = found.rate
        if found.rounds is None or len(found.rounds) > MAX_ROUNDS:
            return None
        needed = [
            i
            for i in story.slice_of([node], index)
            if not isinstance(story.items[i].node, ast.Import | ast.ImportFrom)
            and found.counter not in story.bound[i]
        ]
        if found.steps_per_round == 1 and not any(story.items[i].is_function for i in needed):
            return None  # the formula itself
        bound = set().union(*(story.bound[i] for i in needed))
        statements = [story.literal(copy.deepcopy(story.items[i].node), i, bound) for i in needed]
        if any(map(story.makes_graph, [node, *statements])):
            return None
        rounds, last = found.rounds, len(found.rounds) - 1
        per_round = found.steps_per_round
        rates = ast.parse(f"RATES = [{ast.unparse(node)} for {found.counter} in {rounds}]").body
        own = [s for s in statements if not self._is_outside(s)]
        position = "step" if per_round == 1 else f"step // {per_round}"
        gathered = f"{self._tf}.gather({self._tf}.constant(RATES, {self._tf}.float32), "
        gathered += f"{self._tf}.minimum({position}, {last}))"
        return lines_of([*own, *rates]) + f"\n\n\ndef schedule(step):\n    return {gathered}"

    def _is_outside(self, node: ast.stmt) -> bool:
        names = bound_in(node)
        return any(names <= bound_in(other) for other in self._outside)

    def _loss(self) -> dict[str, str]:
        """Return the options of the loss."""
        loss, classes = self._found.loss, self._found.classes
        factor = loss.factor
        if loss.is_sum:
            factor *= self._found.options["batch_size"]
        if loss.over_classes and loss.kind == "softmax" and not loss.is_sum:
            factor /= classes
        if loss.over_classes and loss.kind != "softmax" and loss.is_sum:
            factor *= classes
        texts = {}
        if loss.kind == "sigmoid":
            texts["loss"] = repr("sigmoid")
        if loss.kind == "mse":
            full = self._names.of_call(self._story.resolved(*loss.logits)[0])
            if full in ("tf.nn.softmax", "tf.nn.sigmoid", "tf.sigmoid"):
                text = "a loss of outputs that are linear; write it as a function of your own"
                raise NotFoundError(f"{text} (the squared error of {full})")
            texts |= {"loss": repr("mse"), "output": repr("linear")}
        factor = round(factor, 9)
        if factor != 1:
            texts.pop("output", None)
            self.functions.append(_scaled_loss(loss.kind, factor, classes, self._tf))
            texts["loss"] = "loss"
        return texts


class _Step(ast.NodeTransformer):
    """Puts the step into a learning rate, with TensorFlow's functions for those of Python."""

    def __init__(self, counter: str, step: str, tf_name: str, names: FullNames) -> None:
        self._counter, self._step, self._tf = counter, step, tf_name
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(self._step, mode="eval").body if node.id == self._counter else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        full = self._names.of_call(node)
        if full.endswith(("get_or_create_global_step", "get_global_step")):
            return ast.parse(self._step, mode="eval").body
        self.generic_visit(node)
        module, _, function = full.rpartition(".")
        if module in ("math", "numpy") and function in ("exp", "pow", "power", "sqrt", "cos"):
            text = f"{self._tf}.{'pow' if function == 'power' else function}"
            node.func = ast.parse(text, mode="eval").body
        elif not full.startswith("tf."):
            raise NotFoundError(f"a schedule without {full or ast.unparse(node)[:40]}")
        return node


def _scaled_loss(kind: str, factor: float, classes: int, tf_name: str) -> str:
    """Return the definition of a loss of a known kind with a factor."""
    one_hot = f"{tf_name}.one_hot(labels, {classes})"
    nn = f"{tf_name}.nn"
    body = {
        "softmax": f"{nn}.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)",
        "sigmoid": f"{tf_name}.reduce_mean({nn}.sigmoid_cross_entropy_with_logits("
        f"labels={one_hot}, logits=logits), axis=1)",
        "mse": f"{tf_name}.reduce_mean({tf_name}.math.squared_difference({one_hot}, logits), "
        "axis=1)",
    }[kind]
    return f"def loss(labels, logits):\n    return {factor:g} * {body}"


def lines_of(statements: Iterable[ast.stmt]) -> str:
    """Return statements as text, with empty lines around functions."""
    parts = []
    for node in statements:
        text = unparse(node)
        parts.append(
            f"\n\n{text}\n\n" if isinstance(node, ast.FunctionDef | ast.ClassDef) else text
        )
    joined = "\n".join(parts)
    while "\n\n\n\n" in joined:
        joined = joined.replace("\n\n\n\n", "\n\n\n")
    return joined.strip("\n")
