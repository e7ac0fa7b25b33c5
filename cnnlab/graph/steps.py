"""The loop of the steps of one session run. It also reads ahead: while a step computes, the next
one's batch is drawn and prepared."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.data.batches import BatchSource, without_inputs
from cnnlab.graph.inference_graph import InferenceGraph
from cnnlab.graph.step import StepContext, StepsMade, build_step


def make_steps_one_by_one(
    context: StepContext, source: BatchSource, predict: InferenceGraph, start: Any, steps: Any
) -> StepsMade:
    """Add the loop.

    Args:
        context: what every step has in common.
        source: gives batches one by one.
        predict: its placeholders may feed the first step's batch.
        start: int64 scalar, the global step before the first step.
        steps: int32 scalar, how many to make.
    """

    def body(i: Any, _objective: Any, _last: Any, batch: Any) -> Any:
        step = start + tf.cast(i, tf.int64)
        objective, logits, update_op = build_step(context, batch, step)
        # Read ahead, but never past the run's last step: the stream must stand where the step
        # does. And not before this step's own batch was drawn, or the two would change places.
        with tf.name_scope("next_batch"), tf.control_dependencies([batch["labels"]]):
            next_batch = tf.cond(i + 1 < steps, lambda: source.draw(step + 1), lambda: dict(batch))
        last = {"logits": logits, **without_inputs(batch)}
        with tf.control_dependencies([update_op]):
            return i + 1, tf.identity(objective), last, next_batch

    shapes = source.shapes()
    with tf.name_scope("batch"):
        batch = source.draw_unless_fed(start, predict.images_ph, predict.labels_ph)
        batch = {name: tf.ensure_shape(batch[name], shapes[name]) for name in shapes}
    last_shapes = {"logits": tf.TensorShape([None, context.num_classes])}
    last_shapes.update(without_inputs(shapes))
    nothing = {
        name: tf.zeros([0, *shape.as_list()[1:]], batch[name].dtype if name in batch else None)
        for name, shape in last_shapes.items()
        if name != "logits"
    }
    nothing["logits"] = tf.zeros([0, context.num_classes], tf.float32)
    # A step whose objective is not finite is the last one: nothing is built on broken weights.
    made, objective, last, _ = tf.while_loop(
        lambda i, objective, *_: tf.logical_and(i < steps, tf.is_finite(objective)),
        body,
        (tf.constant(0), tf.constant(0.0), nothing, batch),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([]), last_shapes, shapes),
        parallel_iterations=1,
        name="steps",
    )
    return StepsMade(made, objective, last)
