"""The graph as TensorBoard draws it: one training step, in a few boxes with clear names.

The real graph is hard to read in TensorBoard. The training step is the body of a loop, or a call in
it, which TensorBoard shows as a single node. The variables are at the top level, because
checkpoints contain their names. So another graph is drawn. It shows the loop's body as one step,
omits the nodes that only save and initialize, and sorts the others into boxes. Only the first
parts of a name change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import function_def_to_graph, tf

# First part of a name to box, for nodes outside the loop's body. Variables go to the model's box;
# other nodes keep their name.
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
    "next_rows": "input/next_rows",
    "global_step": "training/global_step",
}
# These nodes have an edge to every variable, which would hide all other edges.
_NOT_DRAWN = ("save", "init", "finite_weights")
# The same for nodes in the loop's body; other nodes go to the training box.
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
# TensorFlow inlines a loop's body, under a name with a number.
IN_BODY = re.compile(r".+/body/_\d+/(.+)$")


class DrawnGraph:
    """A graph as it is drawn.

    Attributes:
        definition: the `tf.GraphDef` to draw.
    """

    def __init__(self, graph: Any) -> None:
        """Draw a `tf.Graph`, without changing it."""
        source = graph.as_graph_def(add_shapes=True)
        nodes = [node for node in source.node if node.name.split("/")[0] not in _NOT_DRAWN]
        self._functions = {f.signature.name: f for f in source.library.function}
        variables = [node.name for node in source.node if node.op in _VARIABLES]
        self.definition = tf.GraphDef(versions=source.versions)
        self._taken: set[str] = set()
        self._inside: dict[str, str] = {}
        self._called: dict[str, str] = {}
        with building_in(graph):  # TensorFlow looks for the functions in the default graph
            self._outside = self._add_nodes(nodes, lambda name: _box_outside(name, variables), {})

    def drawn_name(self, name: str) -> str | None:
        """Return the name in the drawing of a node that ran, or None if it is not drawn."""
        inside = IN_BODY.match(name)
        if inside:
            return self._inside.get(inside[1])
        # A node that a call runs has no prefix from the call. A node of the evaluation may have the
        # same name, but does not run in a training step.
        return self._called.get(name) or self._outside.get(name)

    def _add_nodes(
        self, nodes: Iterable[Any], box: Callable[[str], str], aliases: dict[str, str]
    ) -> dict[str, str]:
        """Add nodes to the drawing.

        Args:
            nodes: NodeDefs, each after those that compute its inputs.
            box: a function from a name to the name with its box.
            aliases: output to the drawn output that replaces it.

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
            if node.op in _CALLS and self._add_body(node, inputs, aliases):
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
            drawn.attr.pop("_class", None)  # names nodes on the same device, by their old names
        return names

    def _add_body(self, node: Any, inputs: list[str], aliases: dict[str, str]) -> bool:
        """Draw one iteration of a loop, or the function of a call, instead of its node.

        Returns:
            whether the node was replaced.
        """
        is_loop = "body" in node.attr
        function = self._functions.get(node.attr["body" if is_loop else "f"].func.name)
        if function is None or not (is_loop or function.attr["_noinline"].b):
            return False  # XLA compiles the call as a whole, so no node in it runs alone
        body, flat_names = function_def_to_graph.function_def_to_graph_def(function)
        arguments = [argument.name for argument in function.signature.input_arg]
        inner = dict(zip(arguments, inputs, strict=False))
        names = self._add_nodes(body.node, _box_inside, inner)
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
    # An optimizer's slot has the name of its variable as a prefix, so two names match.
    return f"optimizer/{name}" if len(owners) > 1 else f"model/{name}"


def _box_inside(name: str) -> str:
    first = name.split("/")[0]
    return _INSIDE.get(first, f"training/{first}") + name[len(first) :]
