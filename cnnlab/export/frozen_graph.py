"""The network as one GraphDef, with its weights as constants."""

from __future__ import annotations

from typing import Any

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import quiet_stderr, tf
from cnnlab.export.program import CLASSES, PROBABILITIES, Program


def frozen_graph(program: Program) -> Any:
    """Return the `tf.GraphDef` from images:0 to probabilities:0 and classes:0, without the rest."""
    graph = program.session.graph
    with building_in(graph), quiet_stderr():
        return tf.graph_util.convert_variables_to_constants(
            program.session, graph.as_graph_def(), [PROBABILITIES, CLASSES]
        )
