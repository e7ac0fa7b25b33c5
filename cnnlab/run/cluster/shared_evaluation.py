"""Evaluation by several workers: each computes some of the batches, and gets the others' outputs.

The batches are those of one worker, so the figures are the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import numpy as np

from cnnlab.base.machine import versions
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.config.options import Options
from cnnlab.data.datasets import Split
from cnnlab.run.cluster.cluster import Cluster
from cnnlab.run.cluster.equal_workers import Facts, check_equal, checksum_of, options_to_compare
from cnnlab.run.cluster.place import place_of
from cnnlab.run.inference import Complete, ComputeBatches, EvaluationStoppedError, Found

# Then the workers wait for each other. So a slow one is waited for only shortly, and what they send
# does not grow with the number of images.
BATCHES_OF_A_ROUND: Final = 64  # of each worker


@contextmanager
def evaluation_shared(config: Config, find_facts: Callable[[], Facts]) -> Iterator[Complete | None]:
    """Share the evaluations in the block with the other workers of TF_CONFIG.

    Args:
        config: gives worker_timeout_secs.
        find_facts: returns what must be equal on all workers; see `facts_of_evaluation`.

    Yields:
        what computes all batches; None if this process is alone.

    Raises:
        UsageError: TF_CONFIG is wrong, or the workers differ.
        WorkerLostError: one does not answer.
    """
    place = place_of()
    if place.workers == 1:
        yield None
        return
    cluster = Cluster(place, config)
    try:
        addresses = {f"worker {index}": one for index, one in enumerate(place.addresses)}
        facts: Facts = {"address": addresses, **find_facts()}
        check_equal(place, cluster.messages.exchange(facts, "waiting for all workers"))
        yield partial(completed, cluster)
        cluster.messages.gather_numbers([place.worker], "at the end")  # no server ends before that
    finally:
        cluster.close()


def facts_of_evaluation(options: Sequence[Options], split: Split, session: Any) -> Facts:
    """Return what must be equal on all workers of an evaluation, by kind and name.

    Args:
        options: those of the run, and those of the command.
        split: images and labels; images that are read from files are not compared.
        session: holds the weights.
    """
    variables = session.graph.get_collection(tf.GraphKeys.GLOBAL_VARIABLES)
    weights = session.run([one for one in variables if one.dtype.base_dtype != tf.string])
    images = split.images if isinstance(split.images, np.ndarray) else None
    return {
        "option": {name: v for one in options for name, v in options_to_compare(one).items()},
        "version": versions(),
        "checksum": {
            "weights": checksum_of(weights),
            "labels": checksum_of([split.labels]),
            "images": checksum_of([images]),
        },
    }


def completed(
    cluster: Cluster, compute: ComputeBatches, starts: Sequence[int], fetches: Sequence[str]
) -> Iterable[Found]:
    """Yield the outputs of all batches, in order, of which this worker computes a part.

    Args:
        cluster: the workers.
        compute: returns the outputs of the batches that begin at these images.
        starts: the first image of each batch.
        fetches: names of the outputs.

    Raises:
        EvaluationStoppedError: one of the workers was asked to stop.
    """
    size = BATCHES_OF_A_ROUND * cluster.place.workers
    for start in range(0, len(starts), size):
        yield from _complete_round(cluster, compute, starts[start : start + size], fetches)


def _complete_round(
    cluster: Cluster, compute: ComputeBatches, starts: Sequence[int], fetches: Sequence[str]
) -> list[Found]:
    """Return the outputs of these batches."""
    count, index = cluster.place.workers, cluster.place.worker
    first, end = len(starts) * index // count, len(starts) * (index + 1) // count
    found: list[Found] = []
    is_stopped = False
    try:
        found += compute(starts[first:end])
    except EvaluationStoppedError:
        is_stopped = True
    lengths = [len(batch[fetches[0]]) for batch in found]
    flags = cluster.messages.exchange([is_stopped, lengths], "evaluation")
    if any(stopped for stopped, _ in flags):
        raise EvaluationStoppedError
    ends = np.cumsum([length for _, others in flags for length in others])[:-1]
    whole: dict[str, Any] = {}
    for name in fetches:
        parts = [batch[name] for batch in found] or [np.zeros((0, 0), np.float32)]
        rows = np.concatenate(parts)
        is_flat = name == "losses"
        gathered = cluster.messages.gather_rows(
            rows.reshape(len(rows), -1) if len(rows) else np.zeros((0, 0), np.float32), "evaluation"
        )
        whole[name] = np.split(gathered[:, 0] if is_flat else gathered, ends)
    return [
        dict(zip(fetches, batch, strict=True))
        for batch in zip(*(whole[name] for name in fetches), strict=True)
    ]
