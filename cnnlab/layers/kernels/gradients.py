"""Results whose gradients are told, not made by way of the operations behind them.

`tf.custom_gradient` does that too, but enters each of its uses into a register of the process, so
that no graph with one of them is ever freed. Here there is one entry, and the rest is the graph's
own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

from cnnlab.base.tf1 import tf

NAME: Final = "ToldGradient"  # in the register, and of the collection


def with_gradient(
    outputs: Sequence[Any], inputs: Sequence[Any], gradient: Callable[..., Sequence[Any]]
) -> list[Any]:
    """The outputs, with these gradients.

    Args:
        outputs: tensors.
        inputs: tensors that they were made of.
        gradient: function of the gradients by each of the outputs (zeros where there is none) that
            gives those by each of the inputs.
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
        # A function's graph shares the collections of the one that it is called in.
        (of_all,) = (told for known, told in op.graph.get_collection(NAME) if known is op)
        return list(of_all(*of_results))
