"""Figures of a head that has no session, and the speed of a head beside its frozen base."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.bottleneck.joined_run import JoinedRun
from cnnlab.run.metrics.per_class import per_class_figures
from cnnlab.run.metrics.sums import EvaluationSums
from cnnlab.train import Train


def figures_of_outputs(
    joined: JoinedRun, outputs: npt.NDArray[np.float32], labels: npt.NDArray[Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of a head's outputs: accuracy, loss and so on, and those of each class.

    Args:
        joined: computes the configured loss.
        outputs: float32 [n, num_classes], the greatest of which is the prediction.
        labels: int [n].
    """
    spec = joined.data.spec
    losses = joined.losses_of(outputs, labels)
    sums = EvaluationSums(spec.num_classes)
    sums.add(outputs, labels, losses)
    details = {
        "per_class": per_class_figures(sums.confusion, spec.class_names),
        "confusion_matrix": sums.confusion.tolist(),
    }
    return sums.result(), details


def compared(joined: JoinedRun, head: Train, steps: int) -> dict[str, float]:
    """Return the time of a step through the frozen base, and of one of the head alone.

    The steps change the weights of both sessions, so call this after the run is saved.

    Args:
        joined, head: with sessions.
        steps: number of steps (>= 1) to measure, after one to warm up.
    """
    base_secs, head_secs = (_secs_of_step(train, steps) for train in (joined, head))
    return {
        "base_step_secs": base_secs,
        "head_step_secs": head_secs,
        "times_faster": round(base_secs / head_secs, 1),
    }


def _secs_of_step(train: Train, steps: int) -> float:
    session, graph = train.session, train.train_graph
    session.run(graph.train_op, {graph.steps_ph: 1})
    start = time.perf_counter()
    session.run(graph.train_op, {graph.steps_ph: steps})
    return round((time.perf_counter() - start) / steps, 6)
