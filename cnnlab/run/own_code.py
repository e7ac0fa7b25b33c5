"""The user's functions that a run's options name: from Python, from a file, or from the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cnnlab.base.errors import UsageError
from cnnlab.base.own_calls import check_call
from cnnlab.base.own_functions import Modules, OwnFunction, describe, is_reference, load
from cnnlab.base.user_code import place_of
from cnnlab.config import cli
from cnnlab.config.arguments import check
from cnnlab.config.config import Config
from cnnlab.config.options import replace
from cnnlab.config.own_names import flag_of, kind_of, own_names
from cnnlab.graph.parts import Parts
from cnnlab.models import MODELS, REGISTERED, ModelFunction, check_model, find_model
from cnnlab.run.disk.config_file import read_facts
from cnnlab.run.disk.fingerprint import fingerprint_of_code
from cnnlab.run.disk.kept_code import check_trusted, kept_functions, load_kept

# How cnnlab calls each function.
FORMS: Final = {
    "loss": "loss(labels, logits)",
    "optimizer": "optimizer(learning_rate)",
    "schedule": "schedule(step)",
    "metrics": "metric(labels, logits)",
    "augment": "augmentation(images, key)",
}


class OwnCode:
    """The user's functions of one run."""

    def __init__(self) -> None:
        self._functions: dict[str, OwnFunction] = {}  # by option

    def take(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options in which each function is replaced by its name.

        Args:
            given: option to value. A model, a loss, an optimizer and a schedule may be functions,
                and so may the values of metrics and the entries of augment.

        Raises:
            UsageError: a function cannot be what its option says.
        """
        named = dict(given)
        for option in ("model", "loss", "optimizer", "schedule"):
            if option in given:
                named[option] = self._name_of(option, given[option])
        if isinstance(metrics := given.get("metrics"), Mapping):
            named["metrics"] = {
                name: self._name_of(f"metrics.{name}", metric) for name, metric in metrics.items()
            }
        elif callable(metrics) or isinstance(metrics, list | tuple):
            raise UsageError("--metrics takes names, as in {top3: FILE.py:top3}")
        entries = given.get("augment")
        if callable(entries):
            entries = [entries]
        if isinstance(entries, list | tuple):
            named["augment"] = [
                self._entry_of(f"augment.{place}", entry) for place, entry in enumerate(entries)
            ]
        return named

    def taken(self, option: str) -> OwnFunction | None:
        """Return the function of an option, if `take` has seen one."""
        return self._functions.get(option)

    def complete(self, config: Config) -> None:
        """Load the functions that the options name and that are still missing.

        A file in the current folder is used first, then the copy that the run in save_dir has.

        Raises:
            UsageError: a function cannot be loaded, or cannot be what its option says.
        """
        arguments = dict(enumerate(map(_arguments_of, config.augment)))
        modules: Modules = {}
        for option, name in _names(config).items():
            known = self._functions.get(option)
            if known is None or known.name != name:
                known = self._load(option, name, config, modules)._replace(name=name)
                self._functions[option] = known
            place = option.partition(".")[2]
            given = arguments[int(place)] if kind_of(option) == "augment" else {}
            _check_form(option, known.function, given)

    def named_by(self, config: Config) -> dict[str, OwnFunction]:
        """Return the functions that the options name, by option; see `own_names`."""
        return {option: self._functions[option] for option in _names(config)}

    def functions_of(self, config: Config) -> dict[str, Callable[..., Any]]:
        """Return the functions themselves, by option."""
        return {option: own.function for option, own in self.named_by(config).items()}

    def _name_of(self, option: str, value: Any) -> Any:
        """Return the name of a function, which is added; return another value as it is."""
        if not callable(value):
            if option != "model" and not isinstance(value, str | None):
                raise UsageError(
                    f"{flag_of(option)} is an object of type {type(value).__name__}, not a name "
                    f"or a function {FORMS[kind_of(option)]}"
                )
            return value
        if option == "model":
            check_model(value)
        function = describe(value)
        known = self._functions.get(option)
        if known is not None and known.name == function.name and known.function is not value:
            raise UsageError(
                f"two functions have the same name {function.name}; rename one of them"
            )
        self._functions[option] = function
        return function.name

    def _entry_of(self, option: str, entry: Any) -> Any:
        """Return an entry of augment in which a function is replaced by its name."""
        if isinstance(entry, Mapping) and len(entry) == 1:
            function, arguments = next(iter(entry.items()))
            return {self._name_of(option, function): arguments}
        return self._name_of(option, entry) if callable(entry) else entry

    def _load(self, option: str, name: str, config: Config, modules: Modules) -> OwnFunction:
        if name in REGISTERED:
            return describe(REGISTERED[name], name)
        all_kept = kept_functions(read_facts(config.save_dir), config.save_dir)
        kept = all_kept.get(option)
        is_here = Path(name.rpartition(":")[0]).expanduser().is_file()
        if kept is not None and kept.name == name and not is_here:
            return load_kept(option, all_kept, config.save_dir, modules)
        return load(name, flag_of(option), modules=modules)


def _check_form(option: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise UsageError if a function cannot be called as cnnlab will call it."""
    if option == "model":
        check_model(function)
        return
    if arguments:
        check(function, arguments, f"{flag_of(option)}: {place_of(function)}")
    check_call(function, FORMS[kind_of(option)], flag_of(option), **arguments)


def _arguments_of(entry: Any) -> dict[str, Any]:
    """Return the arguments of an entry of augment."""
    given = next(iter(entry.values()), None) if isinstance(entry, dict) else None
    return given if isinstance(given, dict) else {}


def _names(config: Config) -> dict[str, str]:
    """Return the names of the user's functions in the options, by option."""
    names = own_names(config)
    if config.model not in (*MODELS, *names.values()):
        kept = kept_functions(read_facts(config.save_dir), config.save_dir)
        if config.model in REGISTERED or "model" in kept:  # registered when the run was trained
            names["model"] = config.model
    return names


def with_own(config: Config, given: Mapping[str, Any]) -> tuple[Config, dict[str, OwnFunction]]:
    """Return options in which some functions are replaced, and these functions by option.

    Args:
        config: the options of a run.
        given: loss or metrics, with the values that `Train` takes.

    Raises:
        UsageError: a value is wrong, or a function cannot be loaded.
    """
    code = OwnCode()
    config = replace(config, **code.take(given))
    modules: Modules = {}
    functions = {}
    for option, name in own_names(config).items():
        if kind_of(option) in given:
            given_code = code.taken(option)
            functions[option] = given_code or load(name, flag_of(option), modules=modules)
            _check_form(option, functions[option].function, {})
    return config, functions


def parts_of_run(
    config: Config,
    model: str | ModelFunction | None = None,
    *,
    trust: bool = False,
    needs: Sequence[str] = ("model",),
    others: Mapping[str, OwnFunction] | None = None,
) -> Parts:
    """Return the functions of the run in save_dir.

    Args:
        config: the run's options.
        model: the model to use instead of the run's own copy: a function, or its name.
        trust: whether code of a run from elsewhere may run.
        needs: the options whose functions are needed. The others are not loaded.
        others: option to the function to use instead of the run's own copy.

    Raises:
        UsageError: a function cannot be loaded, or the code is of another user or machine.
    """
    facts = read_facts(config.save_dir)
    kept = kept_functions(facts, config.save_dir)
    given = dict(others or {})
    if model is not None:
        given["model"] = describe(model) if callable(model) else load(model, "--model")
    elif config.model in REGISTERED:
        given["model"] = describe(REGISTERED[config.model])
    trained_with = facts.get("fingerprints", {})
    for option, function in given.items():
        digest = trained_with.get(f"{option} code")
        if digest is not None and digest != fingerprint_of_code(function):
            cli.complain(f"{function.name} is not the {option} that trained this run", "note")
    missing = {
        option: name
        for option, name in _names(config).items()
        if option not in given and kind_of(option) in needs
    }
    check_trusted(facts, config.save_dir, missing, trust=trust)
    modules: Modules = {}
    given |= {option: load_kept(option, kept, config.save_dir, modules) for option in missing}
    if "model" in given:
        check_model(given["model"].function)
    return Parts.of(config, {option: own.function for option, own in given.items()})


def find_any_model(name: str) -> ModelFunction:
    """Return the model of a name: cnnlab's, a registered one, or a function of a file.

    Raises:
        UsageError: there is no model of this name.
    """
    return load(name, "--model").function if is_reference(name) else find_model(name)
