"""The options for the weights that a new run starts from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.config.options import STRICT, option
from cnnlab.config.training_options import TrainingOptions
from cnnlab.config.yaml_text import read_yaml_mapping


def read_map(value: Any) -> Any:
    """Return a mapping as it is, or the one in the YAML file of this path; for a validator."""
    try:
        return read_yaml_mapping(Path(value).expanduser()) if isinstance(value, str) else value
    except (OSError, UsageError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"the file cannot be read: {reason}") from error


def compile_all(value: Any) -> Any:
    """Return a regular expression, or a mapping from them, if all are valid; for a validator."""
    try:
        for expression in value if isinstance(value, dict) else [value or ""]:
            re.compile(expression)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class StartOptions(TrainingOptions):
    """The options for first weights, and for freezing; see `cnnlab.config.config.Config`."""

    init_from: str | None = option(
        None,
        "start a new run with other weights, where names and shapes agree: those of a run "
        "directory, of the best/ inside it, of an .npz file from cnnlab export, of a file that "
        "Keras wrote (.h5, .weights.h5 or .keras), or of a TensorFlow 1 checkpoint without its "
        "ending .index\n"
        "imagenet: trained weights of Keras for the model, downloaded into data_dir; they also "
        "choose scaling, if you do not",
        group="start",
        is_path=True,
        min_length=1,
    )
    init_skip: str | None = option(
        None,
        "regular expression of the variables that keep their usual start, as in --init_skip=logits",
        group="start",
        min_length=1,
    )
    init_map: dict[str, str] = option(
        {},
        "names for the variables of init_from, as a mapping of regular expressions to their "
        "replacements, or a YAML file of one, as in "
        "--init_map='{^net/: \"\", weights$: kernel}'; applied in this order",
        group="start",
    )
    init_step: int | None = option(
        None,
        "step of the checkpoint to read from init_from",
        default_text="the newest when the run starts",
        unit="steps",
        group="start",
        ge=0,
    )
    trainable: str | None = option(
        None,
        "regular expression of the variables that are trained, as in --trainable='logits|block5'; "
        "the others are frozen, and frozen batch norm uses its moving averages and keeps them; "
        "see parameter_groups for other rates, and for variables to train later",
        default_text="all",
        group="start",
        min_length=1,
    )

    _read_map = pydantic.field_validator("init_map", mode="before")(read_map)
    _compile = pydantic.field_validator("init_skip", "init_map", "trainable")(compile_all)
