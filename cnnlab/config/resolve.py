"""From what was given to a Config, and from a Config to its file and back.

Precedence: defaults < recipe (`--config=NAME` or a path) < flags. The resolved options are saved
with the run as `config.yaml`, so resuming, evaluating and predicting need only `--save_dir`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.config.recipes import load_recipe

ConfigT = TypeVar("ConfigT", bound=Config)


def resolve(given: Mapping[str, Any], options_class: type[ConfigT] = Config) -> ConfigT:  # type: ignore[assignment]
    """Make the Config of the given options: defaults, then the recipe they name, then themselves.

    Args:
        given: name to value.
        options_class: Config, or one with further options.

    Raises:
        UsageError: unknown recipe or option, or a value that is not valid.
    """
    return opts.build(options_class, with_recipe(given))


def with_recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    recipe = load_recipe(given["config"]) if given.get("config") is not None else {}
    opts.check_names(recipe, Config, f"recipe {given.get('config')}")
    return override(recipe, given)


def override(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay changes over base; a new length in steps replaces one in epochs, and the reverse."""
    merged = dict(base)
    if changes.get("steps") is not None:
        merged.pop("epochs", None)
    if changes.get("epochs") is not None:
        merged.pop("steps", None)
    return {**merged, **changes}


def differing_options(old: Config, new: Config) -> list[str]:
    """Names of the options that shape the result and differ between two configurations."""
    shaping = {
        name
        for name, field in opts.fields_of(Config).items()
        if field.json_schema_extra["shapes_result"]
    }
    if new.on_nan == "rollback":
        shaping.add("checkpoint_steps")  # it decides how far back a rollback goes
    return [
        name
        for name in opts.fields_of(Config)
        if name in shaping and getattr(old, name) != getattr(new, name)
    ]


def graph_options_differ(old: Config, new: Config) -> bool:
    """Whether a graph, its data or its session made for one configuration do not fit the other."""
    extra = [
        name
        for name, field in opts.fields_of(Config).items()
        if field.json_schema_extra["group"] == "device"
    ]
    extra += ["layer_summaries", "data_dir", "verify_data"]
    return bool(differing_options(old, new)) or any(
        getattr(old, name) != getattr(new, name) for name in extra
    )
