"""config.yaml: the options of a run, saved in its run directory.

So `--save_dir` alone is enough to resume, evaluate and predict.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import free_name
from cnnlab.base.machine import provenance
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.config.own_names import kind_of, own_names
from cnnlab.config.recipes import FACTS_OF_RUN, OF_ONE_PROCESS
from cnnlab.config.resolve import differing_options, override, resolve, with_recipe
from cnnlab.config.values import plain
from cnnlab.config.yaml_text import dump_yaml, read_yaml_mapping
from cnnlab.data.folders.picture_set import targets_by_name
from cnnlab.data.specs import DATASETS, DatasetSpec
from cnnlab.data.target_options import fitted_to_targets
from cnnlab.data.training_data import TrainingData
from cnnlab.run.disk.fingerprint import differing_parts
from cnnlab.run.disk.kept_code import check_trusted, kept_functions
from cnnlab.run.disk.warm_start import with_init_step

CONFIG_FILE = "config.yaml"
_MAX_IMAGE_VALUES = 200_000_000  # four channels of the largest image file that is read


def resolve_for_run(given: Mapping[str, Any]) -> Config:
    """Resolve the given options; if save_dir holds a run, its options replace the defaults.

    So `--save_dir` alone resumes a run. For a new run that starts from another run's weights, the
    step of that run's checkpoint is added. A table of real values has defaults of its own.

    Raises:
        UsageError: an option is wrong or differs from the run's (without --overwrite), or
            --init_from does not exist.
    """
    fresh: Config = resolve(given)
    if fresh.overwrite or not (Path(fresh.save_dir) / CONFIG_FILE).is_file():
        explicit = opts.normalized(Config, given)
        return with_init_step(fitted_to_targets(fresh, targets_by_name(fresh), explicit))
    earlier = load_config(fresh.save_dir)
    explicit = with_recipe(given)
    config = opts.build(Config, override(opts.as_dict(earlier), explicit))
    facts = read_facts(fresh.save_dir)
    names = own_names(config)
    if "model" in kept_functions(facts, fresh.save_dir):
        names["model"] = config.model  # it may have been registered under any name
    unnamed = {option: name for option, name in names.items() if kind_of(option) not in explicit}
    check_trusted(facts, fresh.save_dir, unnamed, trust=config.trust)
    differing = differing_options(earlier, config)
    if differing:
        changes = ", ".join(
            f"{name} ({getattr(earlier, name)} there, {getattr(config, name)} here)"
            for name in differing
        )
        raise _another_run(fresh.save_dir, changes, "options")
    return config


def check_fingerprints(config: Config, fingerprints: Mapping[str, str]) -> None:
    """Raise UsageError if save_dir holds a run with other data or another model.

    Args:
        config: the resolved options.
        fingerprints: see `cnnlab.run.disk.fingerprint`.
    """
    path = Path(config.save_dir) / CONFIG_FILE
    if config.overwrite or not path.is_file():
        return
    earlier = _read_config(path).get("fingerprints")
    # A user who knows that a difference does not matter may delete them.
    if isinstance(earlier, dict) and (differing := differing_parts(earlier, fingerprints)):
        changes = ", ".join(f"other {name}" for name in differing)
        raise _another_run(config.save_dir, changes, "data and model")


def _another_run(save_dir: str, difference: str, same: str) -> UsageError:
    return UsageError(
        f"{save_dir} holds another run: {difference}; start a new one with "
        f"--save_dir={free_name(save_dir)}, or give the same {same} to resume it"
    )


def config_text(
    config: Config,
    made: Mapping[str, Any],
    spec: DatasetSpec,
    fingerprints: Mapping[str, str],
    code: Mapping[str, Any],
) -> str:
    """Return the content of config.yaml.

    Args:
        config: the resolved options.
        made: machine, versions and commit; see `cnnlab.base.machine.provenance`.
        spec: shape and classes of the run's data.
        fingerprints: see `cnnlab.run.disk.fingerprint`.
        code: see `cnnlab.run.disk.kept_code.keep_code`.
    """
    data = dataclasses.asdict(spec)
    # The folder itself, not that the default was used: the default may change.
    values = {**opts.as_dict(config), "log_dir": str(config.resolved_log_dir)}
    facts = {"data": data, "fingerprints": dict(fingerprints), **code, **made}
    return dump_yaml(plain({**values, **facts}))


def read_facts(save_dir: str | Path) -> dict[str, Any]:
    """Return all that config.yaml says; nothing if there is no such file.

    Raises:
        CnnlabError: the file is damaged.
    """
    path = Path(save_dir) / CONFIG_FILE
    return _read_config(path) if path.is_file() else {}


def read_provenance(save_dir: str | Path) -> dict[str, Any]:
    """Return machine, versions and commit of the process that trained the run last.

    What the run does not record, as one of an earlier version, is that of this process.

    Raises:
        CnnlabError: config.yaml is damaged.
    """
    facts = read_facts(save_dir)
    return {name: facts.get(name, here) for name, here in provenance().items()}


def load_config(save_dir: str | Path) -> Config:
    """Return the options of the run in save_dir, even if the folder was moved since.

    Raises:
        CnnlabError: there is no run, or its config.yaml is damaged.
    """
    path = Path(save_dir) / CONFIG_FILE
    values = _read_config(path)
    for name in (*FACTS_OF_RUN, *OF_ONE_PROCESS):
        values.pop(name, None)
    try:
        config = opts.build(Config, values)
        return opts.replace(
            config, save_dir=str(save_dir), log_dir=_moved_log_dir(config, save_dir)
        )
    except UsageError as error:
        raise CnnlabError(f"{path} is damaged or from another version: {error}") from error


def load_run_data(config: Config) -> TrainingData:
    """Return the data of a run.

    If a script trained it on arrays, only their shape and classes are known. Pictures are only
    looked for when one of their splits is used.

    Args:
        config: the options that `load_config` returned.

    Raises:
        CnnlabError: config.yaml does not say which shape and classes the arrays had.
    """
    if config.dataset in DATASETS:
        return TrainingData(config, None)
    path = Path(config.save_dir) / CONFIG_FILE
    try:
        spec = pydantic.TypeAdapter(DatasetSpec).validate_python(_read_config(path).get("data"))
        if min(spec.image_shape) < 1 or not spec.class_names:
            raise ValueError("no image or no class")
        if math.prod(spec.image_shape) > _MAX_IMAGE_VALUES:
            raise ValueError("an image too large to compute with")
    except ValueError as error:  # includes pydantic's ValidationError
        raise CnnlabError(f"{path} does not say what data the run has: edited by hand?") from error
    return TrainingData(config, None, spec)


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        save_dir = path.parent
        raise CnnlabError(
            f"{save_dir} holds no run (no {CONFIG_FILE}); train one with --save_dir={save_dir}"
        )
    try:
        return read_yaml_mapping(path)
    except UsageError as error:
        raise CnnlabError(f"{path} is damaged: {error}") from error


def _moved_log_dir(config: Config, save_dir: str | Path) -> str | None:
    """Return the log_dir; one inside save_dir has moved with it."""
    if config.log_dir is None:  # written when the default was ./logs/DATASET
        earlier = Path("logs") / config.dataset
        return str(earlier) if earlier.is_dir() else None
    if not Path(config.log_dir).is_relative_to(config.save_dir):
        return config.log_dir
    return str(Path(save_dir) / Path(config.log_dir).relative_to(config.save_dir))
