"""Many steps in one compiled operation, for networks that are one narrow product of matrices.

Such a network computes less than the start of TensorFlow's operations takes, and its product is of
a shape that they are slow in (`cnnlab.layers.kernels.dense`). XLA makes one program of a loop of
its steps.
To call that takes longer than to make a step, so it makes many. The figures are in
docs/performance.md.
"""

from __future__ import annotations

import math
import platform
from typing import Any, Final

from cnnlab.base.tf1 import is_on_cpu, tf, tf2
from cnnlab.data.batches import Batch, BatchSource, without_inputs
from cnnlab.graph.inference_graph import InferenceGraph
from cnnlab.graph.step import StepContext, StepsMade, build_plain_step, build_training_logits
from cnnlab.layers.kernels.products import MAX_COLUMNS, MIN_ROWS

MOST_STEPS: Final = 256  # in one operation; more gain nothing
LEAST_STEPS: Final = 4  # of large batches XLA makes no faster steps
MOST_BYTES: Final = 3 * 2**20  # of the images of its steps: they stay in the cache
# Operations that a network of one dense layer has.
_KINDS: Final = {"BiasAdd", "Const", "MatMul", "Pack", "ReadVariableOp", "Reshape", "Shape"}


def steps_to_compile(context: StepContext, image_shape: tuple[int, int, int]) -> int:
    """How many steps to compile into one operation; 0: none, they are made one by one.

    Args:
        context: of the default graph, which has the network's variables.
        image_shape: (height, width, channels) of the resident images.
    """
    config = context.config
    shapes = [variable.shape.as_list() for variable in tf.trainable_variables()]
    matrices = [shape for shape in shapes if len(shape) > 1]
    is_worth_it = (
        config.xla
        and not config.augment
        and config.accumulate_steps == 1
        and config.precision == "float32"
        and is_on_cpu(context.global_step.handle)
        and platform.machine() in ("x86_64", "AMD64")  # it was measured nowhere else
        and len(matrices) == 1
        and len(matrices[0]) == 2
        and matrices[0][0] >= MIN_ROWS
        and matrices[0][1] <= MAX_COLUMNS
        and _is_one_product(context, image_shape)
    )
    steps = min(MOST_STEPS, MOST_BYTES // (config.batch_size * math.prod(image_shape)))
    return steps if is_worth_it and steps >= LEAST_STEPS else 0


def _is_one_product(context: StepContext, image_shape: tuple[int, int, int]) -> bool:
    """Whether the network in training is that, and nothing else that XLA would have to know."""
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, *image_shape])
        build_training_logits(context, images, tf.constant(0, tf.int64))
    kinds = {op.name: op.type for op in graph.get_operations() if op.name.startswith("model/")}
    products = [name for name, kind in kinds.items() if kind == "MatMul"]
    # Of a layer, not of the model's own code, whose product would not be turned round.
    layer = _kernel().op.name.removesuffix("/kernel")
    return products == [f"model/{layer}/MatMul"] and set(kinds.values()) <= _KINDS


def _kernel() -> Any:
    """The only trainable matrix."""
    (kernel,) = (variable for variable in tf.trainable_variables() if variable.shape.rank == 2)
    return kernel


def make_compiled_steps(
    context: StepContext, source: BatchSource, predict: InferenceGraph, start: Any, steps: Any
) -> StepsMade:
    """Add a loop of such operations.

    Args:
        context: what every step has in common.
        source: gives batches in chunks.
        predict: its placeholders may feed the first step's batch.
        start: int64 scalar, the global step before the first step.
        steps: int32 scalar, how many to make.
    """
    chunk = source.chunk
    assert chunk is not None
    compiled = tf2.function(_loop_over(context, source), jit_compile=True, autograph=False)
    is_fed = tf.shape(predict.images_ph)[0] > 0

    def body(made: Any, _objective: Any, _last: Any) -> Any:
        with tf.name_scope("next_batch"):
            drawn, used = chunk.take()
            rows, first, left = tf.cond(
                tf.logical_and(is_fed, tf.equal(made, 0)),
                lambda: (_one_batch(drawn, predict), tf.constant(0), tf.constant(1)),
                lambda: (dict(drawn), tf.identity(used), chunk.steps - used),
            )
        newly_made, objective, last = compiled(
            rows, first, tf.minimum(left, steps - made), start + tf.cast(made, tf.int64)
        )
        # What was fed moves the stream on, too.
        with tf.control_dependencies([chunk.use(used + newly_made)]):
            return made + newly_made, objective, dict(last)

    shapes = without_inputs(source.shapes())
    last = {name: tf.zeros([0], tf.int64 if name == "labels" else tf.float32) for name in shapes}
    shapes["logits"] = tf.TensorShape([None, context.num_classes])
    last["logits"] = tf.zeros([0, context.num_classes])
    return StepsMade(
        *tf.while_loop(
            lambda made, objective, _: tf.logical_and(made < steps, tf.is_finite(objective)),
            body,
            (tf.constant(0), tf.constant(0.0), last),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([]), shapes),
            parallel_iterations=1,
            name="steps",
        )
    )


def _loop_over(context: StepContext, source: BatchSource) -> Any:
    kernel = _kernel()

    def make_steps(rows: Batch, first: Any, count: Any, start: Any) -> Any:
        """Make steps with the batches of a chunk.

        Args:
            rows: as `Chunk.take` returns them.
            first: int32 scalar, which of its batches comes first.
            count: int32 scalar, number of steps.
            start: int64 scalar, the global step before the first step.

        Returns:
            made, objective and last, as in `StepsMade`.
        """

        def batch_of(place: Any, step: Any) -> Batch:
            with tf.name_scope("next_batch"):
                # Not rows[place]: the place would have to be known when the loop is compiled.
                return source.prepare({name: tf.gather(rows[name], place) for name in rows}, step)

        def body(made: Any, _objective: Any, _last: Any, turned: Any) -> Any:
            step = start + tf.cast(made, tf.int64)
            # From step to step the weights lie turned round, as their products take them. In the
            # step the variable is what it always is, in a program: nothing is written there.
            with tf.control_dependencies([kernel.assign(tf.transpose(turned), read_value=False)]):
                batch = batch_of(first + made, step)
                objective, logits, update_op = build_plain_step(context, batch, step)
            with tf.control_dependencies([update_op]):
                last = {"logits": tf.identity(logits), **without_inputs(batch)}
                return made + 1, tf.identity(objective), last, tf.transpose(kernel.read_value())

        last = without_inputs(batch_of(first, start))
        last["logits"] = tf.zeros([tf.shape(last["labels"])[0], context.num_classes])
        made, objective, last, turned = tf.while_loop(
            lambda made, objective, *_: tf.logical_and(made < count, tf.is_finite(objective)),
            body,
            (tf.constant(0), tf.constant(0.0), last, tf.transpose(kernel.read_value())),
        )
        with tf.control_dependencies([kernel.assign(tf.transpose(turned), read_value=False)]):
            return tf.identity(made), objective, last

    return make_steps


def _one_batch(drawn: Batch, predict: InferenceGraph) -> Batch:
    """A chunk of the batch that is fed, whose examples all weigh the same."""
    rows = {"images": predict.images_ph, "labels": predict.labels_ph}
    if "weights" in drawn:
        rows["weights"] = tf.ones([tf.shape(predict.images_ph)[0]])
    return {name: values[tf.newaxis] for name, values in rows.items()}
