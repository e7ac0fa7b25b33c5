"""The options for several workers."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.options import STRICT, option
from cnnlab.config.start_options import StartOptions


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class WorkerOptions(StartOptions):
    """The options for several workers; see `cnnlab.config.config.Config`."""

    reduce: Literal["tree", "ring"] = option(
        "tree",
        "how several workers add their gradients\n"
        "tree: in a fixed order, so that any number of workers gives the same bits\n"
        "ring: in the order of TensorFlow's ring, with less traffic from 4 workers on; other "
        "numbers of workers differ in rounding",
        group="workers",
    )
    worker_timeout_secs: float = option(
        300.0,
        "time after which a worker that does not answer counts as lost; it must be longer than a "
        "session run, and than the time in which all workers start",
        unit="seconds",
        group="workers",
        shapes_result=False,
        gt=0,
        le=10**6,
    )
