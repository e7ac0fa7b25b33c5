"""The options that name functions of the user's own."""

from __future__ import annotations

from cnnlab.base.own_functions import is_reference
from cnnlab.config.config import Config
from cnnlab.config.references import references_in


def own_names(config: Config) -> dict[str, str]:
    """Return the names of the user's functions, FILE.py:NAME or PACKAGE.MODULE:NAME, by option.

    An option of several functions has a key for each: metrics.NAME, and augment.POSITION.
    """
    options = ("model", "loss", "optimizer", "schedule")
    names = {option: getattr(config, option) for option in options}
    names.update({f"metrics.{name}": reference for name, reference in config.metrics.items()})
    names.update({f"augment.{place}": name for place, name in references_in(config.augment)})
    return {option: name for option, name in names.items() if is_reference(name)}


def flag_of(option: str) -> str:
    """Return how messages name the option of a function: --loss, or --metrics: top3."""
    return f"--{option.replace('.', ': ')}"


def kind_of(option: str) -> str:
    """Return the option's name itself: metrics for metrics.top3."""
    return option.partition(".")[0]
