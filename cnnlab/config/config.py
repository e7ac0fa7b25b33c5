"""Config: every option of a training run."""

from __future__ import annotations

from pathlib import Path

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.keras_networks import IMAGENET, SCALING_OF
from cnnlab.config.loss_options import DEFAULT_STEPS
from cnnlab.config.machine_options import MachineOptions
from cnnlab.config.options import STRICT
from cnnlab.config.rules import contradictions

__all__ = ["DEFAULT_STEPS", "Config"]


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Config(MachineOptions):
    """Every option of a training run; see `python -m cnnlab.train --help`.

    Eight classes declare the options, each of which extends the one before: `InputOptions`,
    `LossOptions`, `UpdateOptions`, `TrainingOptions`, `StartOptions`, `WorkerOptions`, `RunOptions`
    and `MachineOptions`. This class checks that they fit together.
    """

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Config:
        for problem in contradictions(self):
            raise ValueError(problem)
        return self

    @pydantic.model_validator(mode="after")
    def _whole_batches(self) -> Config:
        if self.xla is True and self.micro_batches > 1:
            raise ValueError("--xla cannot compile the loop of --micro_batches; remove one of them")
        if self.reduce_dtype == "bfloat16" and self.reduce == "ring":
            raise ValueError(
                "--reduce=ring would add in bfloat16; --reduce_dtype=bfloat16 needs --reduce=tree"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _of_init_from(self) -> Config:
        for name in ("init_step", "init_skip", "init_map"):
            if getattr(self, name) not in (None, {}) and self.init_from is None:
                raise ValueError(f"--{name} needs --init_from")
        if self.init_step is not None and self.starts_from_file:
            raise ValueError(f"--init_step has no meaning: --init_from={self.init_from} is a file")
        if self.init_from == IMAGENET and self.model not in SCALING_OF:
            raise ValueError(
                f"--init_from=imagenet: there are no such weights for --model={self.model}; there "
                f"are for {', '.join(SCALING_OF)}"
            )
        return self

    @property
    def smallest_eval_batch_size(self) -> int:
        """The smallest size of an evaluation batch; also the number of files read at once."""
        return 500 if self.eval_batch_size == "auto" else int(self.eval_batch_size)

    @property
    def reads_keras(self) -> bool:
        """Whether init_from is a file of Keras."""
        name = self.init_from or ""
        return name == IMAGENET or name.endswith((".h5", ".keras"))

    @property
    def starts_from_file(self) -> bool:
        """Whether init_from is one file, not a folder of checkpoints or the prefix of one."""
        return self.reads_keras or (self.init_from or "").endswith(".npz")

    @property
    def resolved_log_dir(self) -> Path:
        """The folder of the TensorBoard event files."""
        return Path(self.log_dir or Path(self.save_dir) / "logs")
