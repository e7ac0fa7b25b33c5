"""The `tf.train.Saver` of a graph."""

from __future__ import annotations

from typing import Any

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf


def make_saver(graph: Any) -> Any:
    """Return a `tf.train.Saver` of the graph's global variables.

    It also works if eager mode is on, where TensorFlow's Saver ignores its session's graph. It
    never deletes a checkpoint; `cnnlab.run.disk.checkpoint` does.
    """

    class GraphSaver(tf.train.Saver):
        def save(self, *args: Any, **kwargs: Any) -> Any:
            with building_in(graph):
                return super().save(*args, **kwargs)

        def restore(self, *args: Any, **kwargs: Any) -> None:
            with building_in(graph):
                super().restore(*args, **kwargs)

    return GraphSaver(tf.global_variables(), max_to_keep=None)


def saved_tensors(saver: Any, graph: Any) -> list[Any]:
    """Return the tensors that a Saver writes.

    Fetch them to copy their values, and feed the values when the Saver writes. Training can then
    continue meanwhile.

    Args:
        saver: a `tf.train.Saver`.
        graph: the graph that it was made for.
    """
    (write_op,) = graph.as_graph_element(saver.saver_def.save_tensor_name).op.control_inputs
    return list(write_op.inputs[3:])  # the first three inputs are the path, names and slices


def pointer_text(name: str) -> str:
    """Return the content of the file from which `tf.train.latest_checkpoint` finds a checkpoint."""
    return f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n'
