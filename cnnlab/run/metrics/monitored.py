"""The monitored validation figure: which of two evaluations is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def goodness(figures: Mapping[str, Any], monitor: str) -> float:
    """Return the monitored figure, a loss with a minus sign, so that larger is better."""
    return -float(figures["loss"]) if monitor == "loss" else float(figures["accuracy"])


def is_better(figures: Mapping[str, Any], best: Mapping[str, Any], monitor: str) -> bool:
    """Return whether an evaluation is better than the best so far; an equal one is not."""
    return goodness(figures, monitor) > goodness(best, monitor)
