"""Export the weights without the network."""

from __future__ import annotations

from typing import Any

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf
from cnnlab.export.program import Program
from cnnlab.graph.update.averages import network_variables
from cnnlab.layers.variables import average_name


def network_weights(program: Program) -> dict[str, Any]:
    """Return name to value of each variable that inference reads.

    These are the variables of the network and the statistics of the training set that the scaling
    needs. If the run is evaluated with averaged weights, the averages are returned under the names
    of the weights.
    """
    weights = program.config.resolved_eval_weights
    with building_in(program.session.graph):
        by_name = {variable.op.name: variable for variable in tf.global_variables()}
        chosen = {name: v for name, v in by_name.items() if name.startswith("input_statistics/")}
        for variable in network_variables():
            name = variable.op.name  # frozen variables have no average
            chosen[name] = by_name.get(average_name(weights, name), variable)
    values: dict[str, Any] = program.session.run(chosen)
    return values
