"""Many steps in one compiled operation, for networks that are one narrow product of matrices.

Such a network computes for less time than TensorFlow needs to start its operations, and it is slow
in products of this shape (`cnnlab.layers.kernels.dense`). XLA makes one program of a loop of its
steps. A call of the program takes longer than a step, so one call makes many steps. See
docs/performance/dense.md.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Final

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf, tf2
from cnnlab.data.batches import Batch, BatchSource, without_inputs
from cnnlab.data.chunk import Chunk
from cnnlab.graph.inference_graph import InferenceGraph
from cnnlab.graph.step import (
    MakeSteps,
    StepContext,
    StepsMade,
    build_plain_step,
    build_training_logits,
)
from cnnlab.layers.kernels.choice import compiles_product

MOST_STEPS: Final = 256  # in one operation; more gain nothing
LEAST_STEPS: Final = 4  # with fewer, the batches are so large that XLA gains nothing
MOST_BYTES: Final = 3 * 2**20  # of the images of one operation's steps: they stay in the cache
# The operations between the images and the logits of a network that is one dense layer.
_KINDS: Final = {
    "BiasAdd",
    "Const",
    "MatMul",
    "Pack",
    "Placeholder",
    "ReadVariableOp",
    "Reshape",
    "Shape",
    "StridedSlice",
    "VarHandleOp",
}


def steps_to_compile(context: StepContext, image_shape: tuple[int, int, int]) -> int:
    """Return how many steps to compile into one operation, or 0 to make them one by one.

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
        and (context.parts.loss, context.parts.optimizer, context.parts.schedule) == (None,) * 3
        and config.micro_batches == 1
        and config.precision == "float32"
        and not context.parts.takes("labels")
        and len(matrices) == 1
        and len(matrices[0]) == 2
        and compiles_product(matrices[0], context.global_step.handle)
        and _is_one_layer(context, image_shape)
    )
    steps = min(MOST_STEPS, MOST_BYTES // (config.batch_size * math.prod(image_shape)))
    return steps if is_worth_it and steps >= LEAST_STEPS else 0


def _is_one_layer(context: StepContext, image_shape: tuple[int, int, int]) -> bool:
    """Return whether the network in training is one dense layer and nothing else.

    It is built once more, in a separate graph, because a model may differ between training and
    inference.
    """
    with building_in(tf.Graph()):
        images = tf.placeholder(tf.float32, [None, *image_shape])
        logits, tower = build_training_logits(context, images, tf.constant(0, tf.int64))
        effects = [
            effect
            for kind in (tf.GraphKeys.UPDATE_OPS, tf.GraphKeys.SUMMARIES)
            for effect in tf.get_collection(kind)
        ]
    operations = list(_operations_before(logits))
    kinds = [op.type for op in operations]
    # The product has to be a layer's: the model's own code would not transpose it.
    is_last_layer = bool(tower.activations) and list(tower.activations.values())[-1] is logits
    return (
        is_last_layer
        and kinds.count("MatMul") == 1
        and set(kinds) <= _KINDS
        and not tower.penalties
        and not effects
    )


def _operations_before(tensor: Any) -> Iterator[Any]:
    """Yield every operation that a tensor is computed from, each once."""
    seen, left = {tensor.op}, [tensor.op]
    while left:
        op = left.pop()
        yield op
        new = {source.op for source in op.inputs} - seen
        seen |= new
        left += new


def make_compiled_steps(
    context: StepContext, source: BatchSource, first_step: int, steps_in_chunk: int
) -> MakeSteps:
    """Add the input stream; return a function that adds the loop of compiled operations.

    Args:
        context: what all steps share.
        source: makes batches of rows.
        first_step: the step that the stream starts at.
        steps_in_chunk: the number of steps in one operation.
    """
    config = context.config
    context = context._replace(kernels=dataclasses.replace(context.kernels, compiler="loop"))
    with tf.name_scope("data/"):  # the scope of the training set, entered again
        chunk = Chunk(
            source.data,
            config.batch_size,
            config.seed,
            first_step,
            steps_in_chunk,
            source.sampler,
        )

    def make_steps(inference: InferenceGraph, start: Any, steps: Any) -> StepsMade:
        compiled = tf2.function(_loop_over(context, source), jit_compile=True, autograph=False)
        is_fed = tf.shape(inference.images_ph)[0] > 0

        def body(made: Any, _objective: Any, _last: Any) -> Any:
            with tf.name_scope("next_batch"):
                drawn, used = chunk.take()
                rows, first, left = tf.cond(
                    tf.logical_and(is_fed, tf.equal(made, 0)),
                    lambda: (_one_batch(drawn, inference), tf.constant(0), tf.constant(1)),
                    lambda: (dict(drawn), tf.identity(used), chunk.steps - used),
                )
            newly_made, objective, last = compiled(
                rows, first, tf.minimum(left, steps - made), start + tf.cast(made, tf.int64)
            )
            # A fed batch advances the stream too.
            with tf.control_dependencies([chunk.use(used + newly_made)]):
                return made + newly_made, objective, dict(last)

        shapes = without_inputs(source.shapes())
        types = {"labels": inference.labels_ph.dtype}
        last = {
            name: tf.zeros([0, *shape.as_list()[1:]], types.get(name, tf.float32))
            for name, shape in shapes.items()
        }
        shapes["logits"] = tf.TensorShape([None, context.num_classes])
        last["logits"] = tf.zeros([0, context.num_classes])
        made, objective, last = tf.while_loop(
            lambda made, objective, _: tf.logical_and(made < steps, tf.is_finite(objective)),
            body,
            (tf.constant(0), tf.constant(0.0), last),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([]), shapes),
            parallel_iterations=1,
            name="steps",
        )
        return StepsMade(made, objective, last, init_ops=[chunk.init_op])

    return make_steps


def _loop_over(context: StepContext, source: BatchSource) -> Any:
    """Return the function that XLA compiles."""
    (kernel,) = (variable for variable in tf.trainable_variables() if variable.shape.rank == 2)

    def make_steps(rows: Batch, first: Any, count: Any, start: Any) -> Any:
        """Make steps with the batches of a chunk.

        Args:
            rows: as `Chunk.take` returns them.
            first: int32 scalar, the index of the first batch in the chunk.
            count: int32 scalar, number of steps.
            start: int64 scalar, the global step before the first step.

        Returns:
            made, objective and last, as in `StepsMade`.
        """

        def batch_of(place: Any, step: Any) -> Batch:
            with tf.name_scope("next_batch"):
                # Not rows[place]: the place would have to be known when the loop is compiled.
                return source.prepare({name: tf.gather(rows[name], place) for name in rows}, step)

        def body(made: Any, _objective: Any, _last: Any, transposed: Any) -> Any:
            step = start + tf.cast(made, tf.int64)
            # From step to step the weights are carried transposed, as their products read them. The
            # step itself still reads the variable. In a compiled program that writes no memory.
            assigned = kernel.assign(tf.transpose(transposed), read_value=False)
            with tf.control_dependencies([assigned]):
                batch = batch_of(first + made, step)
                objective, logits, update_op = build_plain_step(context, batch, step)
            with tf.control_dependencies([update_op]):
                last = {"logits": tf.identity(logits), **without_inputs(batch)}
                return made + 1, tf.identity(objective), last, tf.transpose(kernel.read_value())

        last = without_inputs(batch_of(first, start))
        last["logits"] = tf.zeros([tf.shape(last["labels"])[0], context.num_classes])
        made, objective, last, transposed = tf.while_loop(
            lambda made, objective, *_: tf.logical_and(made < count, tf.is_finite(objective)),
            body,
            (tf.constant(0), tf.constant(0.0), last, tf.transpose(kernel.read_value())),
        )
        assigned = kernel.assign(tf.transpose(transposed), read_value=False)
        with tf.control_dependencies([assigned]):
            return tf.identity(made), objective, last

    return make_steps


def _one_batch(drawn: Batch, inference: InferenceGraph) -> Batch:
    """Return a chunk of one batch, the fed one, whose examples all have the weight 1."""
    rows = {"images": inference.images_ph, "labels": inference.labels_ph}
    if "weights" in drawn:
        rows["weights"] = tf.ones([tf.shape(inference.images_ph)[0]])
    return {name: values[tf.newaxis] for name, values in rows.items()}
