"""Build graphs in the same way, whatever the rest of the program has set in TensorFlow.

A program may switch TensorFlow 2's behaviour off, turn NumPy's rules for tensors on, or watch every
operation (`tf.debugging.enable_check_numerics`). Each of these would change the operations that
cnnlab adds to its graph, and some of them what is computed. So cnnlab works in its graph only
inside `building_in`, which sets TensorFlow's defaults and then restores what the program had set.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from cnnlab.base.tf1 import (
    eager_context,
    framework_config,
    framework_ops,
    framework_random_seed,
    tf,
    tf2,
    tf2_switch,
)

# TensorFlow's own seed where only an operation has one. So operations with seeds stay as they are.
GRAPH_SEED: Final = 87654321
# With deterministic operations, TensorFlow numbers those without seeds. It starts here.
_UNSEEDED: Final = range(2_000_000_000, 2_001_000_000)


@contextmanager
def building_in(graph: Any) -> Iterator[None]:
    """Make a graph the default one inside the block, with the default settings of TensorFlow.

    Args:
        graph: a `tf.Graph`.
    """
    with ExitStack() as stack:
        for is_on, turn_on, turn_off in _switches():
            if not is_on():
                turn_on()
                stack.callback(turn_off)
        stack.enter_context(_tensors_without_numpy())
        stack.enter_context(_operations_unwatched())
        stack.enter_context(graph.as_default())
        # With deterministic operations, TensorFlow refuses those that have no seed.
        if framework_config.is_op_determinism_enabled() and not graph.finalized:
            graph.seed = GRAPH_SEED
            framework_random_seed._graph_to_seed_dict.setdefault(graph, _UNSEEDED.start)
        yield


def has_seed(operation: Any) -> bool:
    """Return whether the program gave a random operation of a graph a seed.

    Args:
        operation: it has the attributes seed and seed2.
    """
    seeds = operation.get_attr("seed"), operation.get_attr("seed2")
    is_numbered = seeds[0] == GRAPH_SEED and seeds[1] in _UNSEEDED
    return seeds != (0, 0) and not is_numbered


def _switches() -> list[tuple[Callable[[], bool], Callable[[], None], Callable[[], None]]]:
    """Return every switch: whether it is as by default, how to set that, and how to undo it."""
    return [
        (tf2_switch.enabled, tf2_switch.enable, tf2_switch.disable),
        (
            lambda: not isinstance(tf.TensorShape([1])[0], tf.Dimension),
            tf.enable_v2_tensorshape,
            tf.disable_v2_tensorshape,
        ),
        (
            tf.resource_variables_enabled,
            tf.enable_resource_variables,
            tf.disable_resource_variables,
        ),
        (tf.control_flow_v2_enabled, tf.enable_control_flow_v2, tf.disable_control_flow_v2),
        (
            lambda: tf.Tensor._USE_EQUALITY,
            tf.enable_tensor_equality,
            tf.disable_tensor_equality,
        ),
        (
            lambda: not tf2.config.functions_run_eagerly(),
            lambda: tf2.config.run_functions_eagerly(False),
            lambda: tf2.config.run_functions_eagerly(True),
        ),
    ]


@contextmanager
def _tensors_without_numpy() -> Iterator[None]:
    """Undo `experimental_enable_numpy_behavior`: its types of results, and how it slices.

    Its slices ignore control dependencies: they may read a variable before it is written.
    """
    settings = vars(sys.modules[framework_ops.__name__])
    earlier = {name: settings[name] for name in ("_dtype_conversion_mode", "_numpy_style_slicing")}
    settings.update(_dtype_conversion_mode=framework_ops.PromoMode.OFF, _numpy_style_slicing=False)
    try:
        yield
    finally:
        settings.update(earlier)


@contextmanager
def _operations_unwatched() -> Iterator[None]:
    """Remove the callbacks that TensorFlow's debuggers add to every new operation."""
    context = eager_context.context()
    callbacks = list(context.op_callbacks)
    for callback in callbacks:
        context.remove_op_callback(callback)
    try:
        yield
    finally:
        for callback in callbacks:
            context.add_op_callback(callback)
