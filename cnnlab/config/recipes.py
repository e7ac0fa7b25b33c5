"""Recipes: YAML files of options, by name or path.

Beside options a recipe may have a mapping `about`: `text`, the letter of the text it comes from,
and `claimed`, the test accuracy in [0, 1] that its text states, absent where it states none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnnlab.base.errors import UsageError, nearest
from cnnlab.config.yaml_text import read_yaml_mapping

ABOUT = "about"
# Installed, the recipes are package data; in a checkout they stand beside the package.
PACKAGE = Path(__file__).parent.parent
RECIPE_DIRS = (PACKAGE / "configs", PACKAGE.parent / "configs")


def recipe_paths() -> dict[str, Path]:
    """Recipe name to file, of every recipe that comes with cnnlab."""
    folder = next((folder for folder in RECIPE_DIRS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def load_recipe(name: str) -> dict[str, Any]:
    """A recipe's options; see `_read` for arguments and errors."""
    values = _read(name)
    values.pop(ABOUT, None)
    return values


def load_about(name: str) -> dict[str, Any]:
    """What a recipe says of where it comes from: text and claimed, as far as they are there.

    Raises:
        UsageError: as for `load_recipe`, or it says anything else.
    """
    about = _read(name).get(ABOUT, {})
    is_mapping = isinstance(about, dict) and set(about) <= {"text", "claimed"}
    claimed = about.get("claimed", 0.0) if is_mapping else None
    if not isinstance(claimed, float) or not 0 <= claimed <= 1:
        raise UsageError(f"recipe {name}: about has text, and claimed from 0 to 1, and no more")
    return dict(about)


def _read(name: str) -> dict[str, Any]:
    """Read a recipe.

    Args:
        name: a name of configs/, or a path that ends in .yaml or .yml.

    Raises:
        UsageError: no such recipe (the nearest is named), or its contents are no options.
    """
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
    if "config" in values:
        raise UsageError(f"recipe {path} names another recipe; a recipe stands alone")
    return values
