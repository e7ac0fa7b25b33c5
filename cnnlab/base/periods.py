"""Periods of training: the steps after which something is due."""

from __future__ import annotations

import math
from fractions import Fraction

# Steps, at least 1. Of a fraction p, as 1312.5 steps of an epoch, the times are ceil(p), ceil(2 p),
# ceil(3 p) and so on: each is the first step that completes another period.
Period = int | Fraction


def is_due(step: int, period: Period) -> bool:
    """Return whether `step` completes a period; step 0 counts."""
    return step % period < 1


def steps_until_due(step: int, period: Period) -> int:
    """Return the steps from `step` to the next one that completes a period, >= 1."""
    return math.ceil(period - step % period)
