"""What the checks of a device share: their settings, how they end, and the measuring of speed."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

Figures = dict[str, Any]


class Settings(NamedTuple):
    """What the checks share.

    Attributes:
        device: gpu, gpu:N or cpu.
        scratch: folder for run directories.
        secs: seconds to train for one measurement.
        images: images a step; None: those of the workload.
    """

    device: str
    scratch: str
    secs: float
    images: int | None


class FailedError(Exception):
    """A check found something wrong."""


class SkippedError(Exception):
    """A check cannot be made here."""


def speed(run: Callable[[int], object], settings: Settings, batch_size: int) -> tuple[float, int]:
    """Return images/s over about `settings.secs` seconds, and the number of steps."""
    steps, secs = 1, _timed(run, 1)
    while secs < settings.secs / 2:  # too short to tell: as many steps as seem to fit
        steps = max(steps + 1, min(10 * steps, round(steps * settings.secs / secs)))
        secs = _timed(run, steps)
    return batch_size * steps / secs, steps


def _timed(run: Callable[[int], object], steps: int) -> float:
    started = time.perf_counter()
    run(steps)
    return time.perf_counter() - started
