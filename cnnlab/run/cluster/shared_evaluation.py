"""Evaluation by several workers: each computes some of the batches, and gets the others' outputs.

The batches are those of one worker, so the figures are the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cnnlab.run.cluster.cluster import Cluster
from cnnlab.run.inference import ComputeBatches, EvaluationStoppedError, Found


def completed(
    cluster: Cluster, compute: ComputeBatches, starts: Sequence[int], fetches: Sequence[str]
) -> Iterable[Found]:
    """Return the outputs of all batches, in order, of which this worker computes a part.

    Args:
        cluster: the workers.
        compute: returns the outputs of the batches that begin at these images.
        starts: the first image of each batch.
        fetches: names of the outputs.

    Raises:
        EvaluationStoppedError: one of the workers was asked to stop.
    """
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
