"""The options of a search: those of a run, and those that say how to vary them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.config.arguments import options_of
from cnnlab.config.config import Config
from cnnlab.config.options import STRICT, as_dict, fields_of, option
from cnnlab.config.yaml_text import read_yaml_mapping
from cnnlab.run.own_code import find_any_model
from cnnlab.tune.space import Space, parse_space

DEFAULT_TRIALS = 20
DEFAULT_VALIDATION_SPLIT = 0.1
Metric = Literal["accuracy", "loss"]

# The metrics of trials with different values of these would be measured on different images.
_WHAT_IS_MEASURED = (
    *("dataset", "label_mode", "validation_split", "validate_on", "verify_data"),
    *("eval_examples", "eval_part"),
)


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class TuneOptions(Config):
    """Options of `python -m cnnlab.tune`: those of a run, and those of the search."""

    space: dict[str, Any] | str = option(
        {},
        "the options that vary: a mapping with entries as below, or the path of a YAML file; NAME "
        "is an option of training or of the model\n"
        "NAME: [16, 32]: one of these values\n"
        "NAME: {low: 1e-4, high: 1e-1, log: true}: a number in this range, drawn evenly on a "
        "logarithmic scale\n"
        "NAME: {low: 16, high: 128, step: 16}: 16, 32, ... or 128; whole numbers, because both "
        "ends are whole\n"
        "'NAME, NAME': [[adam, 1e-3], [sgd, 1e-2]]: options that vary together",
        default_text="the space of the recipe, if it has one, as tune_mnist",
        group="search",
        is_path=True,
    )
    trials: int | None = option(
        None,
        "total number of trials of the study",
        default_text=f"the whole grid; {DEFAULT_TRIALS} without a grid",
        unit="trials",
        group="search",
        ge=1,
        le=1_000_000,
    )
    sampler: Literal["auto", "grid", "random", "tpe"] = option(
        "auto",
        "how to choose the values of a trial\n"
        "grid: every combination once\n"
        "random: at random\n"
        "tpe: more often where earlier trials were good (Bergstra et al. 2011)\n"
        "auto: grid, if every entry of space is a list and trials is large enough for all "
        "combinations; otherwise tpe",
        group="search",
    )
    pruner: Literal["none", "halving", "median"] = option(
        "none",
        "how to end poor trials early\n"
        "halving: at the evaluations 1, 3, 9, ... continue only the best third of the trials that "
        "came as far (Li et al. 2018)\n"
        "median: end a trial at any evaluation where it is worse than the median of the others",
        group="search",
    )
    metric: Metric = option(
        "accuracy",
        "figure on the validation set to compare trials by: the highest accuracy or the lowest "
        "loss is best",
        group="search",
    )
    workers: int = option(
        1,
        "number of trials to run at a time, each in a separate process",
        unit="processes",
        group="search",
        ge=1,
        le=1000,
    )
    study: str | None = option(
        None,
        "name of the study in the storage",
        default_text="the name of save_dir",
        group="search",
        min_length=1,
    )
    storage: str | None = option(
        None,
        "URL of a database that several machines share, as in postgresql://user@host/name",
        default_text="SQLite in save_dir",
        group="search",
        min_length=1,
    )
    save_dir: str = option(
        "./tune",
        "study directory, for a run directory per trial, study.db and best.yaml",
        group="run",
        is_path=True,
        shapes_result=False,
        min_length=1,
    )
    log_dir: str | None = option(
        None,
        "folder of the TensorBoard event files, with one subfolder per trial",
        default_text="the folder logs in save_dir",
        group="run",
        is_path=True,
        shapes_result=False,
    )

    @property
    def folder(self) -> Path:
        """The study directory."""
        return Path(self.save_dir)

    @property
    def study_name(self) -> str:
        """The name of the study in the storage."""
        return self.study or self.folder.resolve().name or "tune"

    def run_options(self) -> dict[str, Any]:
        """Return the options of a Config that each trial starts from.

        They always have a validation set, because trials must not be chosen by the test set.
        """
        given = {name: value for name, value in as_dict(self).items() if name in fields_of(Config)}
        given.update(config=None, json=False, debug=False, overwrite=False, max_secs=None)
        given["validate_on"] = "validation"
        given["validation_split"] = self.validation_split or DEFAULT_VALIDATION_SPLIT
        return given

    def given_space(self) -> dict[str, Any]:
        """Return the space as the user wrote it.

        Raises:
            UsageError: there is none, or its file cannot be read.
        """
        space = self.space
        if isinstance(space, str):
            if not Path(space).is_file():
                raise UsageError(f"--space={space[:100]} is neither a mapping nor a file")
            space = read_yaml_mapping(Path(space))
        if not space:
            raise UsageError("set the options that vary, as in --space='{dropout: [0.1, 0.2]}'")
        return space

    def parsed_space(self) -> Space:
        """Return the space, checked.

        Raises:
            UsageError: there is none, or it is wrong.
        """
        space = self.given_space()
        models = space.get("model", [self.model])
        arguments = {
            name: None
            for model in (models if isinstance(models, list) else [])
            for name in options_of(find_any_model(str(model)))
        }
        return parse_space(space, varying_options(), list(arguments))


def varying_options() -> list[str]:
    """Return the names of the options of a run that a search can vary."""
    return [
        name
        for name, field in fields_of(Config).items()
        if (field.json_schema_extra["shapes_result"] or name in ("steps", "epochs"))
        and name not in _WHAT_IS_MEASURED
    ]
