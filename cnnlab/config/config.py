"""Config: the one definition of every training option."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.loss_options import DEFAULT_STEPS
from cnnlab.config.options import STRICT, option
from cnnlab.config.rules import contradictions
from cnnlab.config.training_options import TTA_HELP, TrainingOptions, Tta

__all__ = ["DEFAULT_STEPS", "Config"]

BoardPart = Literal["images", "confusion_matrix", "pr_curves", "projector"]
MAX_TRACED_STEPS = 100  # a step's trace has some hundred kilobytes


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Config(TrainingOptions):
    """Every option of a training run; see `python -m cnnlab.train --help`.

    What is trained on what stands in `cnnlab.config.input_options`, how in
    `cnnlab.config.loss_options` and `cnnlab.config.training_options`; here is where and for how
    long
    it runs.
    """

    save_dir: str = option(
        "./save",
        "run directory: checkpoints, metrics and result",
        group="run",
        shapes_result=False,
        min_length=1,
    )
    log_dir: str | None = option(
        None,
        "TensorBoard event files; ./logs/DATASET unless given",
        group="run",
        shapes_result=False,
    )
    overwrite: bool = option(
        False,
        "start anew in a save_dir that holds a run, deleting that run",
        group="run",
        shapes_result=False,
    )
    init_from: str | None = option(
        None,
        "start a new run from the weights of another, where name and shape agree: its run "
        "directory, the best/ in it, or an .npz file of cnnlab export",
        group="run",
        min_length=1,
    )
    init_step: int | None = option(
        None,
        "step of the checkpoint in init_from; the newest when the run starts unless given",
        unit="steps",
        group="run",
        ge=0,
    )
    max_secs: float | None = option(
        None,
        "stop and save after so long; the same command goes on later",
        unit="seconds",
        group="run",
        shapes_result=False,
        gt=0,
    )
    steps_per_run: Literal["auto"] | int = option(
        "auto",
        "steps fused into one session run; auto makes runs of about 100 ms",
        unit="steps",
        group="run",
        shapes_result=False,
    )
    eval_steps: int = option(
        500, "steps between two evaluations on validation data", unit="steps", group="run", ge=1
    )
    eval_examples: int | None = option(
        None,
        "images of an evaluation during training: the first so many; all unless given",
        unit="images",
        group="run",
        ge=1,
    )
    tta: Tta = option(
        "none",
        f"{TTA_HELP}, in the final test, evaluate and predict",
        group="run",
        shapes_result=False,
    )
    eval_batch_size: Literal["auto"] | int = option(
        "auto",
        "images a batch when evaluating; auto takes 500, and more of a network with small layers",
        unit="images",
        group="run",
        shapes_result=False,
    )
    summary_steps: int = option(
        100, "steps between two lines of training metrics", unit="steps", group="run", ge=1
    )
    checkpoint_steps: int = option(
        1000, "steps between two checkpoints", unit="steps", group="run", shapes_result=False, ge=1
    )
    max_to_keep: int | None = option(
        5,
        "latest checkpoints to keep; none keeps all",
        unit="checkpoints",
        group="run",
        shapes_result=False,
        ge=1,
    )
    keep_every: int | None = option(
        None,
        "keep each checkpoint whose step is a multiple of this too, however old",
        unit="steps",
        group="run",
        shapes_result=False,
        ge=1,
    )
    on_nan: Literal["stop", "rollback"] = option(
        "stop",
        "when the loss or a weight is not finite: stop, or rollback to the last regular checkpoint "
        "and go on at a lower rate",
        group="run",
    )
    rollback_factor: float = option(
        0.5, "factor on the learning rate at each rollback", group="run", gt=0, lt=1
    )
    max_rollbacks: int = option(
        3, "rollbacks in one run before it stops after all", unit="rollbacks", group="run", ge=1
    )
    layer_summaries: bool = option(
        False,
        "log each layer's output (mean, sd, max, min, histogram) and each weight's histogram",
        group="run",
        shapes_result=False,
    )

    precision: Literal["float32", "bfloat16", "float16"] = option(
        "float32",
        "what convolutions and dense layers multiply in when training; weights, everything else "
        "and evaluation are float32; bfloat16: for CPUs that have instructions for it, and GPUs; "
        "float16: for GPUs, with a loss scale that adapts",
        group="speed",
    )
    fast_kernels: bool = option(
        True,
        "on CPUs, convolve by the Fourier transform or by Winograd's algorithm, and normalize "
        "batches in training by convolutions, where that is faster; it rounds otherwise",
        group="speed",
    )
    xla: Literal["auto"] | bool = option(
        "auto",
        "compile the training step with XLA, when it is first made; it rounds otherwise and draws "
        "dropout's numbers otherwise; auto: where the network is one product with few outputs",
        group="speed",
    )
    profile: bool = option(
        False,
        "where the time goes, by kind of operation and by layer, as a table and in "
        "save_dir/profile.json: of the steps of trace_steps, which are the 11th to 20th of this "
        "process unless given",
        group="speed",
        shapes_result=False,
    )

    tensorboard: list[BoardPart] = option(
        [],
        "what else to log, as in images,pr_curves: images (the first training batch and the worst "
        "mistakes), confusion_matrix, pr_curves (a class each), projector (the last features), "
        "or all",
        group="tensorboard",
        shapes_result=False,
    )
    trace_steps: list[int] | None = option(
        None,
        f"steps to trace op by op, FIRST,LAST (at most {MAX_TRACED_STEPS}): a Chrome trace each in "
        "log_dir/traces, and times in TensorBoard's graph",
        group="tensorboard",
        shapes_result=False,
    )

    device: str = option(
        "auto",
        "auto (a GPU where there is one), cpu, gpu or gpu:N",
        group="device",
        shapes_result=False,
    )
    gpu_memory_fraction: float | None = option(
        None,
        "share of the GPU's memory to take; all unless given",
        group="device",
        shapes_result=False,
        gt=0,
        le=1,
    )
    gpu_allow_growth: bool = option(
        False, "take GPU memory as needed", group="device", shapes_result=False
    )
    inter_op_threads: int | None = option(
        None,
        "operations that run side by side on the CPU; as many as it has cores unless given",
        unit="threads",
        group="device",
        shapes_result=False,
        ge=1,
        le=1024,
    )
    intra_op_threads: int | None = option(
        None,
        "threads that share an operation on the CPU, in all runs of the process; as many as it has "
        "cores unless given; other numbers round otherwise",
        unit="threads",
        group="device",
        ge=1,
        le=1024,
    )

    @pydantic.field_validator("steps_per_run", "eval_batch_size")
    @classmethod
    def _auto_or_positive(cls, value: str | int) -> str | int:
        if isinstance(value, int) and value < 1:
            raise ValueError("auto, or an integer >= 1")
        return value

    @pydantic.field_validator("tensorboard", mode="before")
    @classmethod
    def _listed_parts(cls, value: Any) -> Any:
        """A text is a list with commas; all stands for every part."""
        parts = value.replace(",", " ").split() if isinstance(value, str) else value
        return list(get_args(BoardPart)) if parts in ("all", ["all"]) else parts

    @pydantic.field_validator("trace_steps", mode="before")
    @classmethod
    def _listed_steps(cls, value: Any) -> Any:
        """100,110 or [100, 110]; 100 alone is one step."""
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
                raise ValueError(f"FIRST,LAST, from 1 on, at most {MAX_TRACED_STEPS} steps")
        return value

    @pydantic.field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|gpu(:[0-9]+)?", value):
            raise ValueError("auto, cpu, gpu or gpu:N")
        return value

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Config:
        for problem in contradictions(self):
            raise ValueError(problem)
        return self

    @pydantic.model_validator(mode="after")
    def _whole_batches(self) -> Config:
        if self.xla is True and self.accumulate_steps > 1:
            raise ValueError(
                "--xla cannot compile the loop of --accumulate_steps; drop one of them"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _step_of_a_checkpoint(self) -> Config:
        if self.init_step is not None and self.init_from is None:
            raise ValueError("--init_step is of --init_from, which is not given")
        if self.init_step is not None and self.starts_from_file:
            raise ValueError(f"--init_from={self.init_from} is a file, and has no --init_step")
        return self

    @property
    def smallest_eval_batch_size(self) -> int:
        """Images an evaluation batch whatever the network; as many files are read at once."""
        return 500 if self.eval_batch_size == "auto" else int(self.eval_batch_size)

    @property
    def starts_from_file(self) -> bool:
        """Whether init_from is an .npz file rather than a folder of checkpoints."""
        return self.init_from is not None and self.init_from.endswith(".npz")

    @property
    def resolved_log_dir(self) -> Path:
        """Where event files go."""
        return Path(self.log_dir or f"./logs/{self.dataset}")
