"""The options for speed, TensorBoard and the device."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.options import STRICT, option
from cnnlab.config.run_options import RunOptions

BoardPart = Literal["images", "confusion_matrix", "pr_curves", "projector"]
MAX_TRACED_STEPS = 100  # the trace of one step has some hundred kilobytes


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class MachineOptions(RunOptions):
    """The options for speed, TensorBoard and device; see `cnnlab.config.config.Config`."""

    precision: Literal["float32", "bfloat16", "float16"] = option(
        "float32",
        "number format of convolutions and dense layers in training; weights, all other operations "
        "and evaluation stay float32\n"
        "bfloat16: for GPUs, and for CPUs with bfloat16 instructions\n"
        "float16: for GPUs, with an adaptive loss scale",
        group="speed",
    )
    fast_kernels: bool = option(
        True,
        "let cnnlab choose faster kernels than TensorFlow's own for some layers on CPUs; results "
        "differ in rounding; False: TensorFlow's own kernel everywhere",
        group="speed",
    )
    xla: Literal["auto"] | bool = option(
        "auto",
        "compile the training step with XLA before the first step; rounding and the random numbers "
        "of dropout differ; auto: only if the network is one dense layer with few outputs",
        group="speed",
    )
    profile: bool = option(
        False,
        "report the time of each kind of operation and of each layer, in a table and in "
        "save_dir/profile.json; measured over trace_steps",
        group="speed",
        shapes_result=False,
    )

    tensorboard: list[BoardPart] = option(
        [],
        "what else to log, as in images,pr_curves\n"
        "images: the first training batch and the worst mistakes\n"
        "confusion_matrix: of the validation set\n"
        "pr_curves: a precision-recall curve per class\n"
        "projector: the features of the last layer\n"
        "all: all of these",
        group="tensorboard",
        shapes_result=False,
    )
    trace_steps: list[int] | None = option(
        None,
        f"steps to trace op by op, as FIRST,LAST (at most {MAX_TRACED_STEPS}); writes a Chrome "
        "trace per step to log_dir/traces, and times to TensorBoard's graph",
        default_text="none; with profile the 11th to 20th step of this process",
        group="tensorboard",
        shapes_result=False,
    )

    device: str = option(
        "auto",
        "device to train on: auto (a GPU if there is one), cpu, gpu or gpu:N",
        group="device",
        everyday=True,
        shapes_result=False,
    )
    gpu_memory_fraction: float | None = option(
        None,
        "fraction of the GPU's memory to take",
        default_text="all",
        group="device",
        shapes_result=False,
        gt=0,
        le=1,
    )
    gpu_allow_growth: bool = option(
        False,
        "take GPU memory only as needed, not all at the start",
        group="device",
        shapes_result=False,
    )
    inter_op_threads: int | None = option(
        None,
        "number of operations that may run at the same time on the CPU",
        default_text="the number of cores",
        unit="threads",
        group="device",
        shapes_result=False,
        ge=1,
        le=1024,
    )
    intra_op_threads: int | None = option(
        None,
        "threads that share one operation on the CPU, for all runs of this process; another number "
        "gives other rounding",
        default_text="the number of cores",
        unit="threads",
        group="device",
        ge=1,
        le=1024,
    )

    @pydantic.field_validator("tensorboard", mode="before")
    @classmethod
    def _listed_parts(cls, value: Any) -> Any:
        """Accept a text with commas for a list, and "all" for every part."""
        parts = value.replace(",", " ").split() if isinstance(value, str) else value
        return list(get_args(BoardPart)) if parts in ("all", ["all"]) else parts

    @pydantic.field_validator("trace_steps", mode="before")
    @classmethod
    def _listed_steps(cls, value: Any) -> Any:
        """Accept 100,110 or [100, 110], or 100 for one step."""
        if isinstance(value, str):
            value = value.split(",")
        if type(value) is int:
            value = [value]
        return value * 2 if isinstance(value, list) and len(value) == 1 else value

    @pydantic.field_validator("trace_steps")
    @classmethod
    def _ordered_steps(cls, value: list[int] | None) -> list[int] | None:
        if value is not None:
            first, last = value if len(value) == 2 else (0, 0)
            if not 1 <= first <= last < first + MAX_TRACED_STEPS:
                raise ValueError(
                    f"it must be FIRST,LAST, at most {MAX_TRACED_STEPS} steps from 1 on"
                )
        return value

    @pydantic.field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|gpu(:[0-9]+)?", value):
            raise ValueError("it must be auto, cpu, gpu or gpu:N")
        return value
