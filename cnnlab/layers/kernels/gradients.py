"""Results whose gradients are given explicitly, not derived from the operations behind them.

`tf.custom_gradient` does that too. But it registers each of its uses in the process, so that no
graph with one of them is ever freed. Here one gradient is registered, and the rest belongs to the
graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

from cnnlab.base.tf1 import tf

NAME: Final = "GivenGradient"  # in the register, and of the graph's collection


def with_gradient(
    outputs: Sequence[Any], inputs: Sequence[Any], gradient: Callable[..., Sequence[Any]]
) -> list[Any]:
    """Return the outputs, with the given gradients.

    Args:
        outputs: tensors.
        inputs: tensors that they were computed from.
        gradient: function from the gradients of the outputs (zeros where there is none) to the
            gradients of the inputs.
    """
    _register()
    graph = tf.get_default_graph()
    with graph.gradient_override_map({"IdentityN": NAME}):
        results = tf.identity_n([*outputs, *inputs])
    count = len(outputs)

    def of_all(*of_results: Any) -> list[Any]:
        return [*[None] * count, *gradient(*of_results[:count])]

    graph.add_to_collection(NAME, (results[0].op, of_all))
    return list(results[:count])


@functools.cache
def _register() -> None:
    @tf.RegisterGradient(NAME)
    def _gradient(op: Any, *of_results: Any) -> list[Any]:
        # The graph of a function shares the collections of the graph that calls it.
        (of_all,) = (given for known, given in op.graph.get_collection(NAME) if known is op)
        return list(of_all(*of_results))
