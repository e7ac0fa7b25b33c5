"""Recipes: YAML files of options, found by name or path.

Besides options, a recipe may have a mapping `about`, which no run reads. It may have these keys:

- `text`: the letter of the text that the recipe comes from.
- `claimed`: the test accuracy in [0, 1] that the text states; absent if the text states none.
- `claimed_with`: `views`, if the text states it as the mean over several views of each image.
- `claimed_loss`: the loss on the test set that the text states, the mean cross-entropy in nats.
- `claimed_train`, `claimed_train_loss`: the same figures on the training set.
- `aim`: a test accuracy in [0, 1] that cnnlab wants to reach, where the text states none.
- `better_than`: the recipe with the text's own settings, which this one exceeds.
- `chosen`: who chose which settings, and on which images.

A mapping `space` is what `cnnlab tune` varies, as its option of this name. The other commands leave
it out.

A run's config.yaml is a recipe too: its options but those of one process, its folders and the name
of its own recipe.
"""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

from cnnlab.base.errors import UsageError, nearest
from cnnlab.config.yaml_text import read_yaml_mapping

ABOUT = "about"
SPACE = "space"
# The keys of about.
ACCURACIES = ("claimed", "aim", "claimed_train")
LOSSES = ("claimed_loss", "claimed_train_loss")
PHRASES = ("text", "better_than", "chosen", "claimed_with")
VIEWS = "views"  # the only value of claimed_with
# What a run's config.yaml says beside the options.
FACTS_OF_RUN = (
    *("data", "fingerprints", "code", "code_signature", "balance"),
    *("machine", "versions", "commit"),
)
# Options in config.yaml that concern one process only, so that no other process reads them.
OF_ONE_PROCESS = ("json", "quiet", "debug", "trust", "overwrite", "max_secs", "profile")
_NOT_IN_A_RECIPE = (*FACTS_OF_RUN, *OF_ONE_PROCESS, "config", "save_dir", "log_dir")
# Installed recipes are package data. In a checkout they are beside the package.
PACKAGE = Path(__file__).parent.parent
RECIPE_DIRS = (PACKAGE / "configs", PACKAGE.parent / "configs")


def recipe_paths() -> dict[str, Path]:
    """Return a mapping of name to file for the recipes that come with cnnlab."""
    folder = next((folder for folder in RECIPE_DIRS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def load_recipe(name: str) -> dict[str, Any]:
    """Return the options of a recipe.

    Args:
        name: a name in configs/, or a path that ends in .yaml or .yml, as of a run's config.yaml.

    Raises:
        UsageError: there is no such recipe, or the file is not a mapping of options.
    """
    values = _read(name)
    return {name: value for name, value in values.items() if name not in (ABOUT, SPACE)}


def load_space(name: str) -> dict[str, Any]:
    """Return a recipe's `space`, empty if it has none.

    Args:
        name: as for `load_recipe`.

    Raises:
        UsageError: as for `load_recipe`, or the space is not a mapping.
    """
    space = _read(name).get(SPACE, {})
    if not isinstance(space, dict):
        raise UsageError(f"recipe {name}: space must be a mapping, as in {{dropout: [0.1, 0.2]}}")
    return space


def load_about(name: str) -> dict[str, Any]:
    """Return a recipe's `about`; see above for its keys.

    Args:
        name: as for `load_recipe`.

    Raises:
        UsageError: as for `load_recipe`, or `about` has other keys or a wrong value.
    """
    about = _read(name).get(ABOUT, {})
    if not isinstance(about, dict) or not all(map(_is_right, about, about.values())):
        raise UsageError(
            f"recipe {name}: about may only have {', '.join(PHRASES)} (as {VIEWS}), from 0.0 to "
            f"1.0 {', '.join(ACCURACIES)}, and {' and '.join(LOSSES)}"
        )
    return dict(about)


def _is_right(key: Any, value: Any) -> bool:
    """Return whether `about` may have this entry."""
    if key in (*ACCURACIES, *LOSSES):
        return isinstance(value, float) and 0 <= value <= (1 if key in ACCURACIES else math.inf)
    return key in PHRASES and isinstance(value, str) and (key != "claimed_with" or value == VIEWS)


def source_of(recipe: Path) -> str:
    """Return what the comment at the start of a recipe says of its source."""
    comment = re.findall(r"^# ?(.*)$", recipe.read_text(encoding="utf-8"), re.MULTILINE)
    kept = itertools.takewhile(lambda line: not line.startswith("Command:"), comment)
    return " ".join(" ".join(kept).removeprefix("Source:").split())


def _read(name: str) -> dict[str, Any]:
    """Return everything in a recipe; see `load_recipe` for arguments and errors."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"no recipe file {name}")
    else:
        known = recipe_paths()
        if name not in known:
            hint = nearest(name, known) or f"; known: {', '.join(known)}"
            raise UsageError(f"unknown recipe {name}{hint}")
        path = known[name]
    values = read_yaml_mapping(path)
    if "versions" in values:  # only a run's config.yaml has them
        return {name: value for name, value in values.items() if name not in _NOT_IN_A_RECIPE}
    if "config" in values:
        raise UsageError(f"recipe {path} has config, but a recipe may not name another recipe")
    return values
