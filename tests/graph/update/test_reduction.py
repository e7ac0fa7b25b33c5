"""Sums over workers, compared with NumPy: the order of the tree, and what is sent."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from cnnlab.base.tf1 import tf
from cnnlab.graph.update.reduction import Share, sum_over_workers
from tests.graph.update import in_process


def numbers(workers: int) -> Any:
    """Return float32 [workers, 37]; 37 is not a multiple of the workers."""
    return np.random.default_rng(0).normal(0, 1e3, (workers, 37)).astype(np.float32)


def tree(rows: Any, round_: Any) -> Any:
    rows = [round_(row) for row in rows]
    while len(rows) > 1:
        rows = [round_(rows[i] + rows[i + 1]) for i in range(0, len(rows), 2)]
    return rows[0]


def to_bfloat16(row: Any) -> Any:
    return row.astype(ml_dtypes.bfloat16).astype(np.float32)


@pytest.mark.parametrize("workers", [2, 4])
def test_sums_have_the_order_of_the_tree_and_bfloat16_rounds_each(workers: int) -> None:
    given = numbers(workers)

    def build(worker: int) -> Any:
        mine = tf.constant(given[worker])
        tensors, rounds = [mine[:30], mine, mine[30:]], [False, True, False]
        return sum_over_workers(tensors, Share(workers, worker), tf.constant(3, tf.int64), rounds)

    for start, sent, end in in_process.run(workers, build):
        np.testing.assert_array_equal([*start, *end], tree(given, lambda row: row))
        np.testing.assert_array_equal(sent, tree(given, to_bfloat16))


def test_runs_of_other_shapes_in_one_process_have_other_groups() -> None:
    for run, size in enumerate((3, 5)):

        def build(worker: int, run: int = run, size: int = size) -> Any:
            share = Share(2, worker, group=101 + 2 * run)
            return sum_over_workers([tf.ones([size])], share, tf.constant(0, tf.int64))

        for (found,) in in_process.run(2, build):
            np.testing.assert_array_equal(found, [2] * size)


@pytest.mark.parametrize("workers", [2, 4])
def test_messages_in_bfloat16_have_two_bytes_a_number(workers: int) -> None:
    with tf.Graph().as_default() as graph:
        sum_over_workers(
            [tf.zeros([37])], Share(workers, 1), tf.constant(0, tf.int64), rounds=[True]
        )
        sent = [op.inputs[0] for op in graph.get_operations() if op.type.startswith("Collective")]
    pieces = -(-37 // workers) * workers
    assert [one.dtype.size for one in sent] == [2] * len(sent)
    expected = [37] if workers == 2 else [pieces, pieces // workers]
    assert [one.shape.num_elements() for one in sent] == expected
