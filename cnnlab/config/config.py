"""Config: every option of a training run."""

from __future__ import annotations

from pathlib import Path

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.loss_options import DEFAULT_STEPS
from cnnlab.config.options import STRICT
from cnnlab.config.rules import contradictions
from cnnlab.config.run_options import RunOptions

__all__ = ["DEFAULT_STEPS", "Config"]


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class Config(RunOptions):
    """Every option of a training run; see `python -m cnnlab.train --help`.

    Five classes declare the options, each of which extends the one before: `InputOptions`,
    `LossOptions`, `UpdateOptions`, `TrainingOptions` and `RunOptions`. This class checks that they
    fit together.
    """

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Config:
        for problem in contradictions(self):
            raise ValueError(problem)
        return self

    @pydantic.model_validator(mode="after")
    def _whole_batches(self) -> Config:
        if self.xla is True and self.accumulate_steps > 1:
            raise ValueError(
                "--xla cannot compile the loop of --accumulate_steps; remove one of them"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _step_of_a_checkpoint(self) -> Config:
        if self.init_step is not None and self.init_from is None:
            raise ValueError("--init_step needs --init_from")
        if self.init_step is not None and self.starts_from_file:
            raise ValueError(f"--init_step has no meaning: --init_from={self.init_from} is a file")
        return self

    @property
    def smallest_eval_batch_size(self) -> int:
        """The smallest size of an evaluation batch; also the number of files read at once."""
        return 500 if self.eval_batch_size == "auto" else int(self.eval_batch_size)

    @property
    def starts_from_file(self) -> bool:
        """Whether init_from is an .npz file, not a folder of checkpoints."""
        return self.init_from is not None and self.init_from.endswith(".npz")

    @property
    def resolved_log_dir(self) -> Path:
        """The folder of the TensorBoard event files."""
        return Path(self.log_dir or Path(self.save_dir) / "logs")
