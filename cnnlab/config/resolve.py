"""Make a Config from flags and a recipe, and compare two Configs.

A recipe (`--config=NAME` or a path) overrides the defaults, and flags override the recipe. A run
saves its options in `config.yaml`, so resuming, evaluating and predicting need only `--save_dir`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from cnnlab.base.own_functions import is_reference
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.config.keras_networks import with_their_scaling
from cnnlab.config.loss_options import with_loss_of_class_mode
from cnnlab.config.recipes import OF_ONE_PROCESS, SPACE, load_recipe, load_space

# Where a run is, and how it is named: neither its figures nor its times depend on it.
_PLACES = ("config", "save_dir", "log_dir", "data_dir", "cache_dir")

ConfigT = TypeVar("ConfigT", bound=Config)


def resolve(given: Mapping[str, Any], options_class: type[ConfigT] = Config) -> ConfigT:  # type: ignore[assignment]
    """Make a Config from the defaults, the recipe named in `given`, and `given` itself.

    Weights from ImageNet choose the scaling, and the class mode the loss, unless they are given.

    Args:
        given: option name to value.
        options_class: Config, or a subclass with further options.

    Raises:
        UsageError: a recipe or option is unknown, or a value is not valid.
    """
    values = with_loss_of_class_mode(with_recipe(given, options_class))
    return opts.build(options_class, with_their_scaling(values))


def with_recipe(given: Mapping[str, Any], options_class: type[Config] = Config) -> dict[str, Any]:
    """Return the given options on top of those of the recipe that they name, if any.

    Args:
        given: option name to value.
        options_class: as for `resolve`. A recipe has options of Config, and a space if this class
            has one.

    Raises:
        UsageError: an option or the recipe is unknown.
    """
    given = opts.normalized(options_class, given)
    # A recipe that every option overrides need not be there, as when a run goes on elsewhere.
    if given.get("config") is None or given.keys() >= opts.fields_of(options_class).keys():
        return given
    recipe = load_recipe(given["config"])
    opts.check_names(recipe, Config, f"recipe {given['config']}")
    found = override(opts.normalized(Config, recipe), given)
    if SPACE in opts.fields_of(options_class) and (space := load_space(given["config"])):
        found.setdefault(SPACE, space)
    return found


def override(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return base with the changes. A number of steps replaces one of epochs, and vice versa."""
    merged = dict(base)
    for start in ("", "eval_", "checkpoint_"):
        if changes.get(f"{start}steps") is not None:
            merged.pop(f"{start}epochs", None)
        if changes.get(f"{start}epochs") is not None:
            merged.pop(f"{start}steps", None)
    return {**merged, **changes}


def differing_options(old: Config, new: Config) -> list[str]:
    """Return the names of the options that differ and can change the weights of a run.

    How often a run reports may differ. Evaluations are reports, unless the run depends on them.
    """
    shaping = {
        name
        for name, field in opts.fields_of(Config).items()
        if field.json_schema_extra["shapes_result"]
    }
    shaping.remove("summary_steps")
    if not (new.schedule == "plateau" or new.early_stopping or new.restore_best):
        shaping -= {"eval_steps", "eval_epochs", "eval_examples", "eval_part", "validate_on"}
    if new.on_nan == "rollback":
        shaping |= {"checkpoint_steps", "checkpoint_epochs"}  # how far back a rollback goes
    return [
        name
        for name in opts.fields_of(Config)
        if name in shaping and _meaning(old, name) != _meaning(new, name)
    ]


def changed_options(old: Config, new: Config) -> list[str]:
    """Return the names of all options that differ, but for folders and those of one process.

    Some of them change only what is measured, as tta, or how long a run takes, as summary_steps.
    """
    return [
        name
        for name in opts.fields_of(Config)
        if name not in (*_PLACES, *OF_ONE_PROCESS) and _meaning(old, name) != _meaning(new, name)
    ]


def _meaning(config: Config, name: str) -> Any:
    """Return what counts of an option: of a function of the user's, its name without its file.

    The fingerprint tells its code apart.
    """
    value = getattr(config, name)
    if name == "augment":
        return [
            {_without_file(key): entry[key] for key in entry}
            if isinstance(entry, dict)
            else _without_file(entry)
            for entry in value
        ]
    # Other texts may have a colon, too: the patterns of parameter_groups, a path.
    is_name = name in ("model", "loss", "optimizer", "schedule")
    return _without_file(value) if is_name else value


def _without_file(value: Any) -> Any:
    return value.rpartition(":")[2].removesuffix("(...)") if is_reference(value) else value


def graph_options_differ(old: Config, new: Config) -> bool:
    """Return whether the new options need another graph, data or session than the old ones."""
    extra = [
        name
        for name, field in opts.fields_of(Config).items()
        if field.json_schema_extra["group"] == "device"
    ]
    extra += ["inference_summaries", "layer_summaries", "data_dir", "metrics", "verify_data"]
    return bool(differing_options(old, new)) or any(
        getattr(old, name) != getattr(new, name) for name in extra
    )
