"""The graph as TensorBoard draws it: one training step, in a few boxes with telling names.

The real graph would be a poor picture. Its training step is the body of a loop, or a call in it,
which TensorBoard shows as a single node, and its variables stand at the top level, because their
names are the checkpoints' format. So what is drawn is the same graph with the body laid open, as
for one step, without what only saves and initializes, and with nodes sorted into boxes. Only the
first parts of a name change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cnnlab.base.tf1 import function_def_to_graph, tf

# The box of each first part of a name, in the graph itself and in the loop's body. What is not
# named here keeps its name in the graph; a variable goes to the model; in the body it is part of
# the training box.
_OUTSIDE = {
    "model": "evaluation/model",
    "loss": "evaluation/loss",
    "probabilities": "evaluation/probabilities",
    "data": "input/data",
    "resident_data": "input/resident_data",
    "input_statistics": "input/input_statistics",
    "ema": "optimizer/ema",
    "lookahead": "optimizer/lookahead",
    "plateau": "optimizer/plateau",
    "rollbacks": "optimizer/rollbacks",
    "layer_summaries": "metrics/layer_summaries",
    "global_step": "training/global_step",
}
# What saves and initializes takes every variable in, and would be all that one sees.
_NOT_DRAWN = ("save", "init", "finite_weights")
_INSIDE = {
    "model": "model",
    "loss": "loss",
    "gradients": "optimizer/gradients",
    "optimizer": "optimizer",
    "next_batch": "input/next_batch",
    "micro_batches": "training/micro_batches",
}
_BATCH = "training/batch/"
_VARIABLES = ("VarHandleOp", "VariableV2")
_CALLS = ("While", "StatelessWhile", "PartitionedCall", "StatefulPartitionedCall")
# TensorFlow runs a loop's body inlined, under a name with a number.
IN_BODY = re.compile(r".+/body/_\d+/(.+)$")


class DrawnGraph:
    """A graph, and the same as it is drawn.

    Attributes:
        definition: the `tf.GraphDef` to draw.
    """

    def __init__(self, graph: Any) -> None:
        """Args: graph: a `tf.Graph`; it stays as it is."""
        source = graph.as_graph_def(add_shapes=True)
        nodes = [node for node in source.node if node.name.split("/")[0] not in _NOT_DRAWN]
        self._functions = {f.signature.name: f for f in source.library.function}
        variables = [node.name for node in source.node if node.op in _VARIABLES]
        self.definition = tf.GraphDef(versions=source.versions)
        self._taken: set[str] = set()
        self._inside: dict[str, str] = {}
        self._called: dict[str, str] = {}
        self._outside = self._lay_open(nodes, lambda name: _box_outside(name, variables), {})

    def drawn_name(self, name: str) -> str | None:
        """What a node that ran is called in the drawing; None if it is not drawn."""
        inside = IN_BODY.match(name)
        if inside:
            return self._inside.get(inside[1])
        # What a call runs has its name without the call. Evaluation's nodes may have the same ones,
        # but do not run in a training step.
        return self._called.get(name) or self._outside.get(name)

    def _lay_open(
        self, nodes: Iterable[Any], box: Callable[[str], str], aliases: dict[str, str]
    ) -> dict[str, str]:
        """Add nodes to the drawing.

        Args:
            nodes: NodeDefs, each after those it takes its inputs from.
            box: from a name to the name with its box.
            aliases: output to the drawn one that stands for it.

        Returns:
            name to drawn name.
        """
        names: dict[str, str] = {}

        def drawn_input(reference: str) -> str:
            sign, reference = ("^", reference[1:]) if reference[0] == "^" else ("", reference)
            reference = reference.removesuffix(":0")
            if reference in aliases:
                found = aliases[reference]
                return sign + (found.split(":")[0] if sign else found)
            name, colon, output = reference.partition(":")
            return sign + names.get(name, box(name)) + colon + output

        for node in nodes:
            inputs = [drawn_input(reference) for reference in node.input]
            if node.name in aliases:  # an argument
                continue
            if node.op in _CALLS and self._open(node, inputs, aliases):
                continue
            loop_output = node.op == "Identity" and node.input[0].split(":")[0] in aliases
            if loop_output and box(node.name) == node.name:
                aliases[node.name] = inputs[0]
                names[node.name] = inputs[0].split(":")[0]
                continue
            names[node.name] = self._free_name(box(node.name))
            drawn = self.definition.node.add()
            drawn.CopyFrom(node)
            drawn.name = names[node.name]
            drawn.input[:] = inputs
            drawn.attr.pop("_class", None)  # names of nodes it stands beside
        return names

    def _open(self, node: Any, inputs: list[str], aliases: dict[str, str]) -> bool:
        """Draw one turn of a loop, or what a call runs, in the place of its node; whether it can
        be."""
        is_loop = "body" in node.attr
        function = self._functions.get(node.attr["body" if is_loop else "f"].func.name)
        if function is None or not (is_loop or function.attr["_noinline"].b):
            return False  # of what XLA compiles no part runs by itself
        body, flat_names = function_def_to_graph.function_def_to_graph_def(function)
        arguments = [argument.name for argument in function.signature.input_arg]
        inner = dict(zip(arguments, inputs, strict=False))
        names = self._lay_open(body.node, _box_inside, inner)
        (self._inside if is_loop else self._called).update(names)
        for number, output in enumerate(function.signature.output_arg):
            reference = function.ret[output.name]
            flat = flat_names[reference].removesuffix(":0")
            name, colon, index = flat.partition(":")
            drawn = inner[flat] if flat in inner else names[name] + colon + index
            aliases[f"{node.name}:{number}".removesuffix(":0")] = drawn
        return True

    def _free_name(self, name: str) -> str:
        free, count = name, 0
        while free in self._taken:
            count += 1
            free = f"{name}_{count}"
        self._taken.add(free)
        return free


def _box_outside(name: str, variables: list[str]) -> str:
    first = name.split("/")[0]
    if name.startswith(_BATCH):
        return f"input/{name.removeprefix('training/')}"
    if first in _OUTSIDE:
        return _OUTSIDE[first] + name[len(first) :]
    owners = [v for v in variables if name == v or name.startswith(f"{v}/")]
    if not owners or first in ("optimizer", "training", "metrics", "input"):
        return name
    # A slot is named after the variable that the optimizer keeps it for, so it has two owners.
    return f"optimizer/{name}" if len(owners) > 1 else f"model/{name}"


def _box_inside(name: str) -> str:
    first = name.split("/")[0]
    return _INSIDE.get(first, f"training/{first}") + name[len(first) :]
