"""The options of a search: a run's, and how they are varied."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.config.arguments import options_of
from cnnlab.config.config import Config
from cnnlab.config.options import STRICT, as_dict, fields_of, option
from cnnlab.config.yaml_text import read_yaml_mapping
from cnnlab.models import find_model
from cnnlab.tune.space import Space, parse_space

DEFAULT_TRIALS = 20
DEFAULT_VALIDATION_SPLIT = 0.1
Metric = Literal["accuracy", "loss"]

# Another value of these would make the metrics of two trials figures of different images.
_WHAT_IS_MEASURED = ("dataset", "label_mode", "validation_split", "verify_data", "eval_examples")


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class TuneOptions(Config):
    """Options of `python -m cnnlab.tune`: a run's, and how they are varied."""

    space: dict[str, Any] | str = option(
        {},
        "what varies, or the path of a YAML file that says it: {NAME: [16, 32], NAME: {low: 1e-4, "
        "high: 1e-1, log: true}, NAME: {low: 16, high: 128, step: 16}, 'NAME, NAME': [[adam, "
        "1e-3], [sgd, 1e-2]]}; NAME: an option of training or of the model; whole numbers where "
        "both ends are; names with a comma vary together",
        group="search",
    )
    trials: int | None = option(
        None,
        f"trials of the study in all; the whole grid, else {DEFAULT_TRIALS}, unless given",
        unit="trials",
        group="search",
        ge=1,
        le=1_000_000,
    )
    sampler: Literal["auto", "grid", "random", "tpe"] = option(
        "auto",
        "grid: every combination; random; tpe: where trials were good (Bergstra et al. 2011); "
        "auto: grid where all are lists and trials suffice for it, else tpe",
        group="search",
    )
    pruner: Literal["none", "halving", "median"] = option(
        "none",
        "end poor trials early: halving: at evaluation 1, 3, 9, ... unless in the best third of "
        "those that came as far (Li et al. 2018); median: at any evaluation, if worse than the "
        "median there",
        group="search",
    )
    metric: Metric = option(
        "accuracy", "what is best: highest accuracy or lowest loss, on validation", group="search"
    )
    workers: int = option(
        1, "trials at a time, each in a process", unit="processes", group="search", ge=1, le=1000
    )
    study: str | None = option(
        None, "name in the storage; the folder's name unless given", group="search", min_length=1
    )
    storage: str | None = option(
        None,
        "database that several machines share, as in postgresql://user@host/name; SQLite in the "
        "study directory unless given",
        group="search",
        min_length=1,
    )
    save_dir: str = option(
        "./tune",
        "study directory: a run directory for each trial, study.db and best.yaml",
        group="run",
        shapes_result=False,
        min_length=1,
    )
    log_dir: str | None = option(
        None,
        "TensorBoard event files, a folder for each trial; ./logs/STUDY unless given",
        group="run",
        shapes_result=False,
    )

    @property
    def folder(self) -> Path:
        """The study directory."""
        return Path(self.save_dir)

    @property
    def study_name(self) -> str:
        """The study's name in the storage."""
        return self.study or self.folder.resolve().name or "tune"

    @property
    def resolved_log_dir(self) -> Path:
        """Where the trials' event files go."""
        return Path(self.log_dir or f"./logs/{self.study_name}")

    def run_options(self) -> dict[str, Any]:
        """The options that each trial starts from, as a Config has them.

        Trials are compared on validation images, so that the test set chooses nothing.
        """
        given = {name: value for name, value in as_dict(self).items() if name in fields_of(Config)}
        given.update(config=None, json=False, debug=False, overwrite=False, max_secs=None)
        given["validation_split"] = self.validation_split or DEFAULT_VALIDATION_SPLIT
        return given

    def given_space(self) -> dict[str, Any]:
        """The space as it was written.

        Raises:
            UsageError: it is absent, or its file cannot be read.
        """
        space = self.space
        if isinstance(space, str):
            if not Path(space).is_file():
                raise UsageError(f"--space={space[:100]} is neither a mapping nor a file")
            space = read_yaml_mapping(Path(space))
        if not space:
            raise UsageError("--space says what varies, as in --space='{dropout: [0.1, 0.2]}'")
        return space

    def parsed_space(self) -> Space:
        """The space.

        Raises:
            UsageError: it is absent, or wrong.
        """
        space = self.given_space()
        models = space.get("model", [self.model])
        arguments = {
            name: None
            for model in (models if isinstance(models, list) else [])
            for name in options_of(find_model(str(model)))
        }
        return parse_space(space, varying_options(), list(arguments))


def varying_options() -> list[str]:
    """The options of a run that a search can vary."""
    return [
        name
        for name, field in fields_of(Config).items()
        if (field.json_schema_extra["shapes_result"] or name in ("steps", "epochs"))
        and name not in _WHAT_IS_MEASURED
    ]
