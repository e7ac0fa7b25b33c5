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
        "ring: in the order of TensorFlow's ring; other numbers of workers differ in rounding",
        group="workers",
    )
    reduce_dtype: Literal["float32", "bfloat16"] = option(
        "float32",
        "type in which workers send gradients\n"
        "float32: exact\n"
        "bfloat16: half the traffic; the gradients of two parts (--micro_batches) are added in "
        "float32, and each sum is rounded to 8 bits of precision, by one worker too, so that any "
        "number of workers still gives the same bits; needs --reduce=tree",
        group="workers",
    )
    sync_bn: bool = option(
        False,
        "batch norm over the whole batch of several workers, as one worker without "
        "--micro_batches computes it, up to rounding; needs one part of the batch for each worker, "
        "so a run resumes with the same number of workers only",
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
