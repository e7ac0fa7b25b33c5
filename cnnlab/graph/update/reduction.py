"""Sums over workers: every worker of a run has the same graph, and computes its own parts.

The workers exchange one buffer a step for each type of number. `tree` gathers the sums of all
workers and adds them in a fixed order, pair by pair. So the result has the same bits as if one
worker had added all parts. `ring` lets TensorFlow add while it passes the sums on, in an order that
depends on the number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from cnnlab.base.tf1 import tf

GROUP: Final = 1  # TensorFlow's number for the group of all workers
LOGITS_KEY: Final = 1
FIRST_SUM_KEY: Final = 10


class Share(NamedTuple):
    """The share of a step's work that the graph of this worker computes.

    workers: number of workers, a power of two.
    worker: number of this worker, in [0, workers).
    reduce: how sums are computed; see the module.
    """

    workers: int = 1
    worker: int = 0
    reduce: Literal["tree", "ring"] = "tree"


ALONE: Final = Share()


def sum_over_workers(tensors: Sequence[Any], share: Share, step: Any) -> list[Any]:
    """Return the sums over all workers of some tensors.

    Args:
        tensors: of static shapes; those of other workers have the same shapes and types.
        share: which worker this is.
        step: int64 scalar. Two steps in a row use different keys, so they never mix.

    Returns:
        tensors of the same shapes and types, with the same bits on all workers.
    """
    sums: dict[int, Any] = {}
    types = sorted({tensor.dtype for tensor in tensors}, key=lambda dtype: dtype.name)
    with tf.name_scope("sum_over_workers"):
        for number, dtype in enumerate(types):
            places = [place for place, one in enumerate(tensors) if one.dtype == dtype]
            ours = [tensors[place] for place in places]
            sizes = [one.shape.num_elements() for one in ours]
            flat = tf.concat([tf.reshape(one, [-1]) for one in ours], axis=0)
            key = FIRST_SUM_KEY + 2 * number + tf.cast(step % 2, tf.int32)
            total = _sum_of(flat, share, key)
            for place, one, part in zip(places, ours, tf.split(total, sizes), strict=True):
                sums[place] = tf.reshape(part, one.shape)
    return [sums[place] for place in range(len(tensors))]


def _sum_of(flat: Any, share: Share, key: Any) -> Any:
    """Return the sum of the workers' buffers, each [n]."""
    keys = {"group_size": share.workers, "group_key": GROUP, "instance_key": key}
    if share.reduce == "ring":
        return tf.raw_ops.CollectiveReduceV2(
            input=flat, ordering_token=[], merge_op="Add", final_op="Id", **keys
        )
    gathered = tf.raw_ops.CollectiveGatherV2(input=flat, ordering_token=[], **keys)
    # Each level is one sum of slices, because TensorFlow would rewrite a tree of sums as one AddN,
    # which adds in another order.
    sums, left = gathered, share.workers
    while left > 1:
        left //= 2
        pairs = tf.reshape(sums, [left, 2, flat.shape[0]])
        sums = pairs[:, 0] + pairs[:, 1]
    return tf.reshape(sums, flat.shape)


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
        group_key=GROUP,
        instance_key=LOGITS_KEY,
        ordering_token=[],
    )
    return tf.ensure_shape(gathered, [None, *rows.shape[1:]])
