"""The network as one GraphDef, with its weights as constants."""

from __future__ import annotations

from typing import Any

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import quiet_stderr, tf
from cnnlab.export.program import Program


def frozen_graph(program: Program) -> Any:
    """Return the `tf.GraphDef` from images:0 to the outputs, such as probabilities:0."""
    graph = program.session.graph
    with building_in(graph), quiet_stderr():
        return tf.graph_util.convert_variables_to_constants(
            program.session,
            graph.as_graph_def(),
            [tensor.op.name for tensor in program.outputs.values()],
        )
