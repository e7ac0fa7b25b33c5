"""The options for where, how long and how fast a run trains, and what it logs."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.options import STRICT, option
from cnnlab.config.training_options import TTA_HELP, Tta
from cnnlab.config.worker_options import WorkerOptions

BoardPart = Literal["images", "confusion_matrix", "pr_curves", "projector"]
MAX_TRACED_STEPS = 100  # the trace of one step has some hundred kilobytes


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class RunOptions(WorkerOptions):
    """The options for run, speed, TensorBoard and device; see `cnnlab.config.config.Config`."""

    save_dir: str = option(
        "./save",
        "run directory, for checkpoints, metrics and the result",
        group="run",
        everyday=True,
        is_path=True,
        shapes_result=False,
        min_length=1,
    )
    log_dir: str | None = option(
        None,
        "folder of the TensorBoard event files",
        default_text="the folder logs in save_dir",
        group="run",
        is_path=True,
        shapes_result=False,
    )
    overwrite: bool = option(
        False,
        "delete the run in save_dir, if there is one, and start again",
        group="run",
        shapes_result=False,
    )
    trust: bool = option(
        False,
        "run the code of a run directory from elsewhere, after you have read its folder code",
        group="run",
        shapes_result=False,
    )
    max_secs: float | None = option(
        None,
        "save and stop after this time; the same command resumes the run",
        default_text="no limit",
        unit="seconds",
        group="run",
        shapes_result=False,
        gt=0,
    )
    steps_per_run: Literal["auto"] | int = option(
        "auto",
        "steps in one session run; auto: as many as take about 100 ms, with several workers 500 ms",
        unit="steps",
        group="run",
        shapes_result=False,
    )
    eval_steps: int = option(
        500, "steps between two evaluations on the validation set", unit="steps", group="run", ge=1
    )
    eval_examples: int | None = option(
        None,
        "images to evaluate during training, taken from the start of the validation set; of "
        "pictures, which are in the order of their names, evenly from all of it",
        default_text="all",
        unit="images",
        group="run",
        ge=1,
    )
    eval_part: Literal["first", "next"] = option(
        "first",
        "which eval_examples images an evaluation during training takes\n"
        "first: the same ones in each evaluation\n"
        "next: the next ones in turn; after the last image, the first ones again",
        group="run",
    )
    tta: Tta = option(
        "none",
        f"{TTA_HELP}\nused in the final test, and by the commands evaluate and predict",
        group="run",
        shapes_result=False,
    )
    eval_batch_size: Literal["auto"] | int = option(
        "auto",
        "images per evaluation batch; auto: 500, or more if the network's layers are small",
        unit="images",
        group="run",
        shapes_result=False,
    )
    summary_steps: Literal["auto"] | int = option(
        "auto",
        "steps between two lines of training metrics; auto: a tenth of the run, at most 100",
        unit="steps",
        group="run",
    )
    checkpoint_steps: int = option(
        1000, "steps between two checkpoints", unit="steps", group="run", shapes_result=False, ge=1
    )
    max_to_keep: int | None = option(
        5,
        "number of newest checkpoints to keep; none: keep all",
        unit="checkpoints",
        group="run",
        shapes_result=False,
        ge=1,
    )
    keep_every: int | None = option(
        None,
        "also keep every checkpoint whose step is a multiple of this",
        unit="steps",
        group="run",
        shapes_result=False,
        ge=1,
    )
    keep_every_hours: float | None = option(
        None,
        "also keep one checkpoint for each period of this length; only hours of training count, "
        "not the time between a stop and the next start",
        unit="hours",
        group="run",
        shapes_result=False,
        gt=0,
    )
    on_nan: Literal["stop", "rollback"] = option(
        "stop",
        "what to do if the loss or a weight is not finite\n"
        "stop: end the run\n"
        "rollback: return to the last regular checkpoint and continue with a lower learning rate",
        group="run",
    )
    rollback_factor: float = option(
        0.5, "factor on the learning rate at each rollback", group="run", gt=0, lt=1
    )
    max_rollbacks: int = option(
        3, "rollbacks allowed in a run; after these it stops", unit="rollbacks", group="run", ge=1
    )
    inference_summaries: bool = option(
        False,
        "with each line of training metrics, also log inference_loss and inference_accuracy: those "
        "of the next batch, before the network trains on it, with dropout off and not augmented",
        group="run",
        shapes_result=False,
    )
    layer_summaries: bool = option(
        False,
        "log the mean, standard deviation, max, min and histogram of every layer's output, and a "
        "histogram of every weight",
        group="run",
        shapes_result=False,
    )

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

    def eval_turn(self, step: int) -> int:
        """Return which part of the images an evaluation after `step` (>= 1) takes, from 0 on.

        It depends on the step alone, so a resumed run takes the same parts.
        """
        return 0 if self.eval_part == "first" else (step - 1) // self.eval_steps

    @pydantic.field_validator("steps_per_run", "eval_batch_size", "summary_steps")
    @classmethod
    def _auto_or_positive(cls, value: str | int) -> str | int:
        if isinstance(value, int) and value < 1:
            raise ValueError("it must be auto or an integer >= 1")
        return value

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
