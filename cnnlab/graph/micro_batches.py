"""The parts of a batch, which are computed one after the other, and the sum of their gradients.

The sum has a fixed order, a binary tree over the parts:

    ((part 0 + part 1) + (part 2 + part 3)) + ((part 4 + part 5) + (part 6 + part 7))

If the number of parts is an odd number times a power of two, each leaf of the tree is the sum of
that odd number of parts, from the first to the last. A worker of several computes one subtree. So
any number of workers gives the same bits. That holds for gradients that the workers send in
bfloat16, too: every leaf and every sum of two is rounded, also where nothing is sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cnnlab.base.tf1 import tf
from cnnlab.data.batches import Batch
from cnnlab.data.own_rows import OwnRows
from cnnlab.graph.update.reduction import Share, rounded, sum_over_workers


class PassResult(NamedTuple):
    """The result of one forward and backward pass.

    objective: float32 scalar that is minimized: loss and penalties.
    logits: float32 [batch, num_classes], unscaled.
    gradients: of each trainable variable; None where it does not enter the objective.
    updates: ops that update other variables, such as the moving averages of batch norm.
    """

    objective: Any
    logits: Any
    gradients: list[Any]
    updates: list[Any]


# Adds the pass over a part. Its arguments: the part; the step of its random keys, int64 scalar; and
# a function that returns whether it is this worker's last part, a bool scalar.
BuildPass = Callable[[Batch, Any, Callable[[], Any]], PassResult]


def tree_of(count: int) -> list[int]:
    """Return the lengths of the nested loops that add `count` parts, from the outermost to the
    innermost: 2 for each level of the tree, then the odd rest."""
    levels = (count & -count).bit_length() - 1
    rest = count >> levels
    return [2] * levels + [rest] * (rest > 1 or not levels)


def build_micro_batches(
    build_pass: BuildPass,
    batch: Batch,
    step: Any,
    count: int,
    *,
    num_classes: int,
    share: Share,
    state: Sequence[Any],
    rounds: bool,
    own: OwnRows | None,
    apart: Callable[..., Any] | None,
) -> PassResult:
    """Add forward and backward passes over this worker's parts, and the sum over all workers.

    Gradients and objective are means over the batch. So without batch norm and dropout they equal
    those of the whole batch, except for rounding. Batch norm sees the parts. Each part starts from
    the moving averages before the step, and their changes are averaged over the parts.

    Args:
        build_pass: adds the pass over one part.
        batch: the whole batch, or of its inputs only `own`. A fed one may have fewer images than
            parts; it makes fewer parts.
        step: int64 scalar, 0 for the first step.
        count: number of parts, a multiple of `share.workers`.
        num_classes: number of classes.
        share: which worker this is.
        state: the variables that passes update besides the weights, such as moving averages.
        rounds: whether the gradients are rounded to bfloat16 where two of them are added.
        own: the images whose inputs the batch has; None: all.
        apart: makes a call of the innermost body; None: it needs none.

    Returns:
        the result for the whole batch, but with the logits of this worker's images only.
    """
    size = tf.shape(batch["labels"])[0]
    parts = tf.minimum(count, size)
    parts_here = count // share.workers
    first = share.worker * parts_here
    offset = 0 if own is None else own.bounds(size)[0]
    variables = tf.trainable_variables()
    starts = [variable.read_value() for variable in state]
    parts_of_none: list[Any] = []

    def one_part(j: Any) -> tuple[Any, ...]:
        # A fed batch need not be divisible.
        start, end = size * j // parts, size * (j + 1) // parts
        part = {name: tensor[start:end] for name, tensor in batch.items()}
        if own is not None:
            part["inputs"] = batch["inputs"][start - offset : end - offset]
        part["inputs"] = tf.ensure_shape(part["inputs"], batch["inputs"].shape)
        factor = tf.cast(end - start, tf.float32) / tf.cast(size, tf.float32)
        result = build_pass(
            part,
            step * count + tf.cast(j, tf.int64),
            lambda: j + 1 >= tf.minimum(parts, first + parts_here),
        )
        parts_of_none[:] = [gradient is None for gradient in result.gradients]
        gradients = [
            tf.zeros(variable.shape, variable.dtype.base_dtype)
            if gradient is None
            # A gradient of rows, as of tf.gather, is made dense.
            else tf.cast(factor, gradient.dtype) * tf.convert_to_tensor(gradient)
            for gradient, variable in zip(result.gradients, variables, strict=True)
        ]
        with tf.control_dependencies(result.updates):
            values = [variable.read_value() for variable in state]
        changes = [
            tf.cast(factor, value.dtype) * (value - start)
            for value, start in zip(values, starts, strict=True)
        ]
        with tf.control_dependencies([*result.updates, *values]):
            restored = [
                variable.assign(start, read_value=False)
                for variable, start in zip(state, starts, strict=True)
            ]
        with tf.control_dependencies([*result.updates, *restored]):
            objective = tf.identity(factor * result.objective)
        return result.logits, objective, *gradients, *changes

    def round_gradients(sums: Sequence[Any]) -> list[Any]:
        return [rounded(one) if is_sent else one for one, is_sent in zip(sums, sent, strict=True)]

    def add_parts(j: Any, tree: list[int]) -> tuple[Any, ...]:
        """Add the loop over a subtree that begins at part j; return its logits and sums."""
        length, *inner = tree
        width = math.prod(inner)

        def body(i: Any, logits: Any, *sums: Any) -> tuple[Any, ...]:
            here = j + i * width
            new_logits, *new = add_parts(here, inner) if inner else one_part(here)
            if rounds and length == 2:  # two halves of a tree, not the parts of a leaf
                new = round_gradients(new)
            new_sums = [total + one for total, one in zip(sums, new, strict=True)]
            # To save memory, a part is finished before the next one begins.
            with tf.control_dependencies(new_sums):
                return i + 1, tf.concat([logits, new_logits], axis=0), *new_sums

        with tf.control_dependencies(starts):  # read before the first part changes them
            start = (tf.constant(0), *[tf.zeros(shape, dtype) for shape, dtype in kinds])
        shapes = [value.shape for value in start]
        shapes[1] = tf.TensorShape([None, *kinds[0][0][1:]])
        return tuple(
            tf.while_loop(
                lambda i, *_: tf.logical_and(i < length, j + i * width < parts),
                body if apart is None or inner else apart(body),
                start,
                shape_invariants=tuple(shapes),
                parallel_iterations=1,
                name="micro_batches",
            )
        )[1:]

    kinds = [
        ([0, num_classes], tf.float32),
        ([], tf.float32),
        *[(variable.shape, variable.dtype.base_dtype) for variable in (*variables, *state)],
    ]
    sent = [rounds and 1 <= place <= len(variables) for place in range(len(kinds) - 1)]
    logits, *sums = add_parts(tf.constant(first), tree_of(parts_here))
    if share.workers > 1:
        own_sums, sums = sums, sum_over_workers(sums, share, step, sent)
        if share.clock is not None:
            with tf.control_dependencies([share.clock.add(own_sums, sums)]):
                sums[0] = tf.identity(sums[0])
    elif rounds:
        sums = round_gradients(sums)
    objective, gradients, changes = (
        sums[0],
        sums[1 : 1 + len(variables)],
        sums[1 + len(variables) :],
    )
    return PassResult(
        objective,
        logits,
        [
            None if is_none else total
            for is_none, total in zip(parts_of_none, gradients, strict=True)
        ],
        [
            variable.assign_add(change, read_value=False)
            for variable, change in zip(state, changes, strict=True)
        ],
    )
