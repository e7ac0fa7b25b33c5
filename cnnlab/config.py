"""Config: the one definition of every training option."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.options import STRICT, Options, option

DEFAULT_STEPS = 20_000  # the reference CIFAR-10 program's length


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Config(Options):
    """Every option of a training run; see `python -m cnnlab.train --help`."""

    config: str | None = option(
        None,
        "recipe: a name of configs/ or the path of a YAML file",
        group="recipe",
        shapes_result=False,
    )

    dataset: str = option(
        "cifar10", "data set: cifar10, cifar100, mnist, fashion_mnist or shapes", group="data"
    )
    data_dir: str = option(
        "./data",
        "folder of the data files; fetched into it if absent",
        group="data",
        shapes_result=False,
    )
    label_mode: Literal["fine", "coarse"] = option(
        "fine", "CIFAR-100: its 100 fine or 20 coarse labels", group="data"
    )
    validation_split: float = option(
        0.0,
        "share of the training images held out for validation, stratified; 0: use the test set",
        group="data",
        ge=0,
        lt=1,
    )
    verify_data: bool = option(
        True,
        "compare data files with the official checksums; False for your own files",
        group="data",
        shapes_result=False,
    )
    augment: list[Any] = option(
        [],
        "training-time augmentations in order, as in [flip, {pad_and_crop: {pixels: 4}}]",
        group="data",
    )
    scaling: Literal["unit", "symmetric", "standardize"] = option(
        "unit",
        "pixels to input: unit x/255, symmetric x/127.5 - 1, standardize: mean 0, sd 1 an image",
        group="data",
    )

    model: str = option("cifar_cnn", "network: a name of cnnlab.models.MODELS", group="model")
    model_options: dict[str, Any] = option(
        {}, "the network function's own arguments, as in {dropout: 0.4}", group="model"
    )

    batch_size: int = option(500, "images a step", unit="images", group="training", ge=1)
    steps: int | None = option(
        None,
        f"length of the run; {DEFAULT_STEPS} unless epochs are given",
        unit="steps",
        group="training",
        shapes_result=False,
        ge=1,
        le=10**15,
    )
    epochs: float | None = option(
        None,
        "length of the run in passes over the training images",
        unit="epochs",
        group="training",
        shapes_result=False,
        gt=0,
    )
    optimizer: Literal["adam", "sgd"] = option("adam", "update rule", group="training")
    learning_rate: float = option(
        1e-3, "rate at step 0", group="training", gt=0, allow_inf_nan=False
    )
    schedule: Literal["exponential", "constant"] = option(
        "exponential", "exponential: rate x decay_rate^floor(step / decay_steps)", group="training"
    )
    decay_steps: int = option(
        1000, "steps between two decays", unit="steps", group="training", ge=1
    )
    decay_rate: float = option(0.9, "factor of each decay", group="training", gt=0, le=1)
    seed: int = option(
        1,
        "source of all randomness: weights, batches, augmentation, dropout",
        group="training",
        ge=0,
        lt=2**31,
    )

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
    eval_batch_size: int = option(
        500, "images a batch when evaluating", unit="images", group="run", shapes_result=False, ge=1
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

    @pydantic.field_validator("steps_per_run")
    @classmethod
    def _positive_steps_per_run(cls, value: str | int) -> str | int:
        if isinstance(value, int) and value < 1:
            raise ValueError("auto, or an integer >= 1")
        return value

    @pydantic.field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        kind, _, index = value.partition(":")
        if kind not in ("auto", "cpu", "gpu") or (
            index and not (kind == "gpu" and index.isdigit())
        ):
            raise ValueError("auto, cpu, gpu or gpu:N")
        return value

    @pydantic.model_validator(mode="after")
    def _one_length(self) -> Config:
        if self.steps is not None and self.epochs is not None:
            raise ValueError(
                "--steps and --epochs both set the length of the run; give one of them"
            )
        return self

    def total_steps(self, num_train: int) -> int:
        """The length of the run in steps, given the number of training images."""
        if self.epochs is not None:
            return math.ceil(self.epochs * num_train / self.batch_size)
        return self.steps or DEFAULT_STEPS

    @property
    def resolved_log_dir(self) -> Path:
        """Where event files go."""
        return Path(self.log_dir or f"./logs/{self.dataset}")
