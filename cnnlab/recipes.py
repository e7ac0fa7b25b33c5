"""Recipes: YAML files of options, by name or path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnnlab.errors import UsageError
from cnnlab.options import nearest
from cnnlab.yaml_text import read_yaml_mapping

# Installed, the recipes are package data; in a checkout they stand beside the package.
RECIPE_DIRS = (Path(__file__).parent / "configs", Path(__file__).parent.parent / "configs")


def recipe_paths() -> dict[str, Path]:
    """Recipe name to file, of every recipe that comes with cnnlab."""
    folder = next((folder for folder in RECIPE_DIRS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def load_recipe(name: str) -> dict[str, Any]:
    """Read a recipe's options.

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
