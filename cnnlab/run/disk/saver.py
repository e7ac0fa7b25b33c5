"""The `tf.train.Saver` of a graph."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf


def make_saver(graph: Any) -> Any:
    """A `tf.train.Saver` of the graph's global variables that also works where eager mode is on.

    TensorFlow's looks at the surroundings of the call instead of at its session's graph. It deletes
    nothing by itself: how many checkpoints stay is for `cnnlab.run.disk.checkpoint` to decide.
    """

    class GraphSaver(tf.train.Saver):
        def save(self, *args: Any, **kwargs: Any) -> Any:
            with graph.as_default():
                return super().save(*args, **kwargs)

        def restore(self, *args: Any, **kwargs: Any) -> None:
            with graph.as_default():
                super().restore(*args, **kwargs)

    return GraphSaver(tf.global_variables(), max_to_keep=None)


def saved_tensors(saver: Any, graph: Any) -> list[Any]:
    """What a Saver writes. Fetched, which copies them, they can be fed when it does: training
    goes on meanwhile.

    Args:
        saver: a `tf.train.Saver`.
        graph: that it was made for.
    """
    (write_op,) = graph.as_graph_element(saver.saver_def.save_tensor_name).op.control_inputs
    return list(write_op.inputs[3:])  # after the path, names and slices
