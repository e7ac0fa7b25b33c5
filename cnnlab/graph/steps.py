"""The loop of one session run, which makes its steps one by one.

It also reads ahead: while a step computes, the batch of the next one is drawn and prepared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.data.batches import Batch, BatchSource, without_inputs
from cnnlab.data.pipeline import RowStream
from cnnlab.graph.inference_graph import InferenceGraph
from cnnlab.graph.model_effects import summary_variables
from cnnlab.graph.step import MakeSteps, StepContext, StepsMade, build_step


def make_steps_one_by_one(context: StepContext, source: BatchSource, first_step: int) -> MakeSteps:
    """Add the input stream; return a function that adds the loop.

    Args:
        context: what all steps share.
        source: makes batches of rows.
        first_step: the step that the stream starts at.
    """
    config = context.config
    with tf.name_scope("data/"):  # the scope of the training set, entered again
        stream = RowStream(
            source.data, config.batch_size, config.seed, first_step, source.sampler, source.own
        )
        waiting = Waiting("waiting") if source.data.reader is not None else None
    if context.share.workers > 1:
        share = context.share._replace(clock=Waiting("waiting_for_workers"))
        context = context._replace(share=share)
    clock = context.share.clock

    def draw(step: Any) -> Batch:
        return source.prepare(stream.next_rows(), step)

    def make_steps(inference: InferenceGraph, start: Any, steps: Any) -> StepsMade:
        def body(i: Any, _objective: Any, _last: Any, batch: Any) -> Any:
            step = start + tf.cast(i, tf.int64)
            here = context._replace(is_last=lambda: i + 1 >= steps)
            objective, logits, update_op = build_step(here, batch, step)
            # Never read past the run's last step, because the stream must match the global step.
            # Never read before this step's own batch was drawn, or the two could be swapped.
            with tf.name_scope("next_batch"), tf.control_dependencies([batch["labels"]]):
                next_batch = tf.cond(i + 1 < steps, lambda: draw(step + 1), lambda: dict(batch))
            last = {"logits": logits, **without_inputs(batch)}
            done = [update_op]
            if waiting is not None:
                done.append(waiting.add(done, next_batch.values()))
            with tf.control_dependencies(done):
                return i + 1, tf.identity(objective), last, next_batch

        shapes = source.shapes()
        with tf.name_scope("batch"):
            rows = stream.next_rows_unless_fed(inference.images_ph, inference.labels_ph)
            counted = [waiting.add([start], rows.values())] if waiting is not None else []
            batch = source.prepare(rows, start)
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
        with tf.control_dependencies(counted):
            first = tf.constant(0)
        made, objective, last, _ = tf.while_loop(
            lambda i, objective, *_: tf.logical_and(i < steps, tf.is_finite(objective)),
            body,
            (first, tf.constant(0.0), nothing, batch),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([]), last_shapes, shapes),
            parallel_iterations=1,
            name="steps",
        )
        clocks = [one for one in (waiting, clock) if one is not None]
        init_ops = [one.initializer for one in (*summary_variables(), *(c.secs for c in clocks))]
        result = StepsMade(made, objective, last, init_ops)
        if clock is not None:
            result = result._replace(waited_for_workers=clock.secs.read_value())
        if waiting is not None:
            with tf.control_dependencies([made]):
                result = result._replace(waited=waiting.secs.read_value())
        return result

    return make_steps


class Waiting:
    """Counts for how long steps wait, as for images that are read, or for other workers.

    secs: local variable, float64 scalar, seconds in all steps so far.
    """

    def __init__(self, name: str) -> None:
        with tf.variable_scope(name, use_resource=True):
            self.secs = tf.get_variable(
                "secs",
                [],
                tf.float64,
                tf.zeros_initializer(),
                trainable=False,
                collections=[tf.GraphKeys.LOCAL_VARIABLES],
            )

    def add(self, since: Iterable[Any], until: Iterable[Any]) -> Any:
        """Return an op that counts the time from when one is done until the other is."""
        with tf.control_dependencies(list(since)):
            begin = tf.timestamp()
        with tf.control_dependencies(list(until)):
            end = tf.timestamp()
        return self.secs.assign_add(tf.maximum(end - begin, 0), read_value=False)
