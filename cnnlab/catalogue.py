"""Tables of what options can name: models, recipes, augmentations and data sets.

The commands `cnnlab models`, `cnnlab recipes`, `cnnlab augmentations` and `cnnlab datasets` print
them, or all about one name. TensorFlow is not imported.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.printing import print_as_is
from cnnlab.config import cli
from cnnlab.config.arguments import describe_arguments
from cnnlab.config.options import Options
from cnnlab.config.recipes import load_about, load_recipe, recipe_paths, source_of
from cnnlab.config.terminal import render_table
from cnnlab.data.augment import AUGMENTATIONS
from cnnlab.data.specs import DATASETS, DESCRIPTIONS
from cnnlab.models import MODELS

Entry = dict[str, Any]


class Catalogue(NamedTuple):
    """One table.

    Attributes:
        names: the names of its entries.
        entry: from a name to its entry, a mapping with name and description.
        text: from an entry to the text about it alone, below its name and description.
        option: the option that takes the names, as in "--model=NAME".
    """

    names: Callable[[], Sequence[str]]
    entry: Callable[[str], Entry]
    text: Callable[[Entry], str]
    option: str


def _entry_of_function(name: str, function: Callable[..., Any]) -> Entry:
    text = inspect.getdoc(function) or ""
    summary = text.partition("\n")[0].removeprefix("Build ")
    return {
        "name": name,
        "description": summary[:1].upper() + summary[1:],
        "arguments": describe_arguments(function),
        "text": text,
    }


def _text_of_function(entry: Entry) -> str:
    rows = [list(argument.values()) for argument in entry["arguments"]]
    table = render_table(("argument", "type", "range", "default"), rows, left_columns=4)
    return f"{entry['text']}\n\n{table}" if rows else entry["text"]


def _recipe(name: str) -> Entry:
    options, path, about = load_recipe(name), recipe_paths()[name], load_about(name)
    return {
        "name": name,
        "description": source_of(path),
        "claimed": about.get("claimed"),
        "aim": about.get("aim"),
        "path": str(path),
        "options": options,
    }


def _dataset(name: str) -> Entry:
    spec = DATASETS[name]
    return {
        "name": name,
        "description": DESCRIPTIONS[name],
        "image_shape": list(spec.image_shape),
        "train": spec.num_train,
        "test": spec.num_test,
        "classes": list(spec.class_names),
    }


CATALOGUES: Final = {
    "models": Catalogue(
        lambda: list(MODELS),
        lambda name: _entry_of_function(name, MODELS[name]),
        _text_of_function,
        "--model=NAME --model_options={ARGUMENT: VALUE}",
    ),
    "recipes": Catalogue(
        lambda: list(recipe_paths()),
        _recipe,
        lambda entry: recipe_paths()[entry["name"]].read_text(encoding="utf-8").rstrip(),
        "--config=NAME",
    ),
    "augmentations": Catalogue(
        lambda: list(AUGMENTATIONS),
        lambda name: _entry_of_function(name, AUGMENTATIONS[name].function),
        _text_of_function,
        "--augment=[NAME, {NAME: {ARGUMENT: VALUE}}]",
    ),
    "datasets": Catalogue(
        lambda: list(DATASETS),
        _dataset,
        lambda entry: f"classes: {', '.join(entry['classes'])}",
        "--dataset=NAME",
    ),
}


def main(kind: str, words: Sequence[str] | None = None) -> None:
    """Run the command `cnnlab KIND`; kind: a name of CATALOGUES."""
    catalogue = CATALOGUES[kind]
    cli.run(
        partial(_show, kind),
        Options,
        words,
        usage=f"cnnlab {kind} [NAME] [--json]",
        about=f"List the {kind}, or say all about one. Use one with {catalogue.option}.",
        takes_words=True,
    )


def _show(kind: str, options: Options, words: tuple[str, ...]) -> list[Entry] | Entry:
    """Print the table, or the entry of one name, and return what `--json` prints."""
    catalogue = CATALOGUES[kind]
    names = catalogue.names()
    if sys.flags.optimize > 1:
        cli.complain("python -OO removes the descriptions; use python -O", kind="note")
    if len(words) > 1:
        raise UsageError(f"name one, as in: cnnlab {kind} {names[0]}")
    for name in words:
        if name not in names:
            hint = nearest(name, names) or f"; known: {', '.join(names)}"
            raise UsageError(f"{kind}: there is no {name}{hint}")
        entry = catalogue.entry(name)
        if not options.json:
            cli.say(catalogue.text(entry))
        return entry
    entries = [catalogue.entry(name) for name in names]
    if not options.json:
        rows = [[str(value) for value in _row(entry).values()] for entry in entries]
        print_as_is(render_table(list(_row(entries[0])), rows, left_columns=len(rows[0])))
    return entries


def _row(entry: Entry) -> Mapping[str, Any]:
    """Return the cells of an entry by their headings."""
    if "arguments" in entry:
        arguments = [f"{a['name']}={a['default']}" for a in entry["arguments"]]
        return {**_kept(entry, "name", "description"), "arguments": ", ".join(arguments)}
    if "options" in entry:
        claimed = "" if entry["claimed"] is None else f"{entry['claimed']:.2%}"
        kept = {name: entry["options"].get(name, "") for name in ("dataset", "model")}
        return {"name": entry["name"], **kept, "claimed": claimed, **_kept(entry, "description")}
    shape = "x".join(map(str, entry["image_shape"]))
    sizes = {"classes": len(entry["classes"]), **_kept(entry, "train", "test")}
    return {"name": entry["name"], "images": shape, **sizes, **_kept(entry, "description")}


def _kept(entry: Entry, *names: str) -> Entry:
    return {name: entry[name] for name in names}
