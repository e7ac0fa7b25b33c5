"""The user's functions that a run's options name: from Python, from a file, or from the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cnnlab.base.errors import UsageError
from cnnlab.base.own_functions import OwnFunction, describe, is_reference, load
from cnnlab.config import cli
from cnnlab.config.config import Config
from cnnlab.graph.parts import Parts
from cnnlab.models import REGISTERED, ModelFunction, check_model
from cnnlab.run.disk.config_file import read_facts
from cnnlab.run.disk.fingerprint import fingerprint_of_code
from cnnlab.run.disk.kept_code import check_trusted, kept_functions, load_kept


class OwnCode:
    """The user's functions of one run."""

    def __init__(self) -> None:
        self._functions: dict[str, OwnFunction] = {}

    def take(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options in which each function is replaced by its name.

        Args:
            given: option to value; a model may be a function.

        Raises:
            UsageError: a function cannot be what its option says.
        """
        named = dict(given)
        if callable(model := given.get("model")):
            check_model(model)
            named["model"] = self._add(describe(model))
        return named

    def complete(self, config: Config) -> None:
        """Load the functions that the options name and that are still missing.

        A file in the current folder is used first, then the copy that the run in save_dir has.

        Raises:
            UsageError: a function cannot be loaded, or cannot be what its option says.
        """
        for option, name in own_names(config).items():
            if name not in self._functions:
                self._add(self._load(option, name, config)._replace(name=name))
            if option == "model":
                check_model(self._functions[name].function)

    def named_by(self, config: Config) -> dict[str, OwnFunction]:
        """Return the functions that the options name, by option."""
        return {option: self._functions[name] for option, name in own_names(config).items()}

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions by the names that the options have for them."""
        return {name: own.function for name, own in self._functions.items()}

    def _add(self, function: OwnFunction) -> str:
        """Add a function; return its name, which differs from those of other functions."""
        known = self._functions.get(function.name)
        if known is not None and known.function is not function.function:
            raise UsageError(
                f"two functions have the same name {function.name}; rename one of them"
            )
        self._functions[function.name] = function
        return function.name

    def _load(self, option: str, name: str, config: Config) -> OwnFunction:
        if name in REGISTERED:
            return describe(REGISTERED[name], name)
        kept = kept_functions(read_facts(config.save_dir), config.save_dir).get(option)
        is_here = Path(name.rpartition(":")[0]).expanduser().is_file()
        if kept is not None and kept.name == name and not is_here:
            return load_kept(option, kept, config.save_dir)
        return load(name, f"--{option}")


def own_names(config: Config) -> dict[str, str]:
    """Return the names of the user's functions in the options, by option."""
    is_own = is_reference(config.model) or config.model in REGISTERED
    return {"model": config.model} if is_own else {}


def parts_of_run(
    config: Config, model: str | ModelFunction | None = None, *, trust: bool = False
) -> Parts:
    """Return the functions of the run in save_dir.

    Args:
        config: the run's options.
        model: the model to use instead of the run's own copy: a function, or its name.
        trust: whether code of a run from elsewhere may run.

    Raises:
        UsageError: a function cannot be loaded, or the code is of another user or machine.
    """
    facts = read_facts(config.save_dir)
    kept = kept_functions(facts, config.save_dir)
    given: dict[str, OwnFunction] = {}
    if model is not None:
        given["model"] = describe(model) if callable(model) else load(model, "--model")
    elif config.model in REGISTERED:
        given["model"] = describe(REGISTERED[config.model])
    trained_with = facts.get("fingerprints", {})
    for option, function in given.items():
        digest = trained_with.get(f"{option} code")
        if digest is not None and digest != fingerprint_of_code(function):
            cli.complain(f"{function.name} is not the {option} that trained this run", "note")
    if missing := [option for option in kept if option not in given]:
        check_trusted(facts, config.save_dir, trust=trust)
    given |= {option: load_kept(option, kept[option], config.save_dir) for option in missing}
    if "model" in given:
        check_model(given["model"].function)
    names = {option: record.name for option, record in kept.items()} | {"model": config.model}
    return Parts.of(config, {names[option]: own.function for option, own in given.items()})
