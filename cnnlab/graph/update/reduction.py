"""Sums over workers: every worker of a run has the same graph, and computes its own parts.

The workers exchange one buffer a step for each type of number. `tree` adds the sums of all workers
in a fixed order, pair by pair. So the result has the same bits as if one worker had added all
parts. Two workers send each other everything. From four on, each adds one piece of the buffer for
all, so that the traffic of a worker hardly depends on their number. `ring` lets TensorFlow add
while it passes the sums on, in an order that depends on the number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from cnnlab.base.tf1 import tf

GROUP: Final = 1
LOGITS_KEY: Final = 1
FIRST_SUM_KEY: Final = 10
FIRST_BUFFER_KEY: Final = 1000


class Share(NamedTuple):
    """The share of a step's work that the graph of this worker computes.

    workers: number of workers, a power of two.
    worker: number of this worker, in [0, workers).
    reduce: how sums are computed; see the module.
    clock: counts the seconds in which steps wait for other workers, as `cnnlab.graph.steps.Waiting`
        does; None: nobody counts them.
    group: TensorFlow's number for the group of all workers. It remembers the sizes of a group's
        buffers, so each network of a process has another one.
    """

    workers: int = 1
    worker: int = 0
    reduce: Literal["tree", "ring"] = "tree"
    clock: Any = None
    group: int = GROUP


ALONE: Final = Share()


def rounded(tensor: Any) -> Any:
    """Return the nearest bfloat16 numbers, in the tensor's own type."""
    return tf.cast(tf.cast(tensor, tf.bfloat16), tensor.dtype)


def sum_over_workers(
    tensors: Sequence[Any], share: Share, step: Any, rounds: Sequence[bool] | None = None
) -> list[Any]:
    """Return the sums over all workers of some tensors.

    Args:
        tensors: of static shapes; those of other workers have the same shapes and types.
        share: which worker this is.
        step: int64 scalar. Two steps in a row use different keys, so they never mix.
        rounds: whether each tensor is sent in bfloat16. Each sum of two is computed in float32, and
            rounded. Only for `tree`.

    Returns:
        tensors of the same shapes and types, with the same bits on all workers.
    """
    sums: dict[int, Any] = {}
    rounds = [False] * len(tensors) if rounds is None else rounds
    kinds = [(one.dtype.name, is_rounded) for one, is_rounded in zip(tensors, rounds, strict=True)]
    with tf.name_scope("sum_over_workers"):
        for number, kind in enumerate(sorted(set(kinds))):
            places = [place for place, one in enumerate(kinds) if one == kind]
            ours = [tensors[place] for place in places]
            sizes = [one.shape.num_elements() for one in ours]
            flat = tf.concat([tf.reshape(one, [-1]) for one in ours], axis=0)
            key = FIRST_SUM_KEY + 4 * number + tf.cast(step % 2, tf.int32)
            total = _sum_of(flat, share, key, is_rounded=kind[1])
            for place, one, part in zip(places, ours, tf.split(total, sizes), strict=True):
                sums[place] = tf.reshape(part, one.shape)
    return [sums[place] for place in range(len(tensors))]


def _sum_of(flat: Any, share: Share, key: Any, *, is_rounded: bool) -> Any:
    """Return the sum of the workers' buffers, each [n]; key and key + 2 are its own."""
    group = {"group_size": share.workers, "group_key": share.group, "ordering_token": []}
    if share.reduce == "ring":
        return tf.raw_ops.CollectiveReduceV2(
            input=flat, instance_key=key, merge_op="Add", final_op="Id", **group
        )

    def gathered(values: Any, key: Any) -> Any:
        sent = _packed(values) if is_rounded else values
        found = tf.raw_ops.CollectiveGatherV2(input=sent, instance_key=key, **group)
        found = _unpacked(found, flat.dtype) if is_rounded else found
        return tf.ensure_shape(found, [share.workers * values.shape[0]])

    size = flat.shape[0]
    if share.workers == 2:
        return _add_rows(tf.reshape(gathered(flat, key), [2, size]), is_rounded=is_rounded)
    length = -(-size // share.workers)  # of the piece that each worker adds
    pieces = tf.pad(flat, [[0, share.workers * length - size]])
    pieces = tf.reshape(pieces, [share.workers, length])
    sent = _packed(pieces) if is_rounded else pieces
    found = tf.raw_ops.CollectiveAllToAllV2(input=sent, instance_key=key, **group)
    found = _unpacked(found, flat.dtype) if is_rounded else found
    total = _add_rows(tf.ensure_shape(found, pieces.shape), is_rounded=is_rounded)
    return gathered(total, key + 2)[:size]


def _add_rows(rows: Any, *, is_rounded: bool) -> Any:
    """Return the sum of the rows, [workers, n], in the order of the tree."""
    # Each level is one sum of slices, because TensorFlow would rewrite a tree of sums as one AddN,
    # which adds in another order.
    left, size = rows.shape.as_list()
    while left > 1:
        left //= 2
        pairs = tf.reshape(rows, [left, 2, size])
        rows = pairs[:, 0] + pairs[:, 1]
        rows = rounded(rows) if is_rounded else rows
    return tf.reshape(rows, [size])


def _packed(values: Any) -> Any:
    """Return values as bfloat16, under the name of float16, which TensorFlow sends."""
    return tf.bitcast(tf.cast(values, tf.bfloat16), tf.float16)


def _unpacked(values: Any, dtype: Any) -> Any:
    return tf.cast(tf.bitcast(values, tf.bfloat16), dtype)


def gather_rows(rows: Any, share: Share) -> Any:
    """Return the rows of all workers, in the order of the workers.

    Args:
        rows: [n, ...] of this worker; the others have as many.
        share: which worker this is.
    """
    if share.workers == 1:
        return rows
    gathered = tf.raw_ops.CollectiveGatherV2(
        input=rows,
        group_size=share.workers,
        group_key=share.group,
        instance_key=LOGITS_KEY,
        ordering_token=[],
    )
    return tf.ensure_shape(gathered, [None, *rows.shape[1:]])


def gather_buffers(values: Any, share: Share, step: Any, number: int) -> Any:
    """Return the small buffers of all workers, [workers, n], in the order of the workers.

    Args:
        values: [n] of this worker.
        share: which worker this is.
        step: int64 scalar.
        number: of this exchange within the step (>= 0), the same on all workers.
    """
    gathered = tf.raw_ops.CollectiveGatherV2(
        input=values,
        group_size=share.workers,
        group_key=share.group,
        instance_key=FIRST_BUFFER_KEY + 2 * number + tf.cast(step % 2, tf.int32),
        ordering_token=[],
    )
    return tf.reshape(gathered, [share.workers, values.shape[0]])
