"""How a recipe lists augmentations, which are in `cnnlab.data.augment`."""

from __future__ import annotations

from typing import Any, Final

from cnnlab.base.errors import UsageError

MIXING: Final = ("mixup", "cutmix")  # these mix images with different labels

# Values of `--scaling` that may also be the last entry. They apply in evaluation too.
SCALINGS: Final = ("standardize", "normalize", "zca", "pca")


def parse_entry(entry: Any) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of one entry of the list, which are not checked.

    Args:
        entry: NAME or {NAME: {argument: value}}. The name of a function of the user's own is
            FILE.py:NAME.

    Raises:
        UsageError: the entry has another form.
    """
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        name, given = next(iter(entry.items()))
        if given is None or isinstance(given, dict):
            return str(name), dict(given or {})
    raise UsageError(f"--augment: {entry} is neither NAME nor {{NAME: {{argument: value}}}}")


def mixes_labels(entries: list[Any]) -> str | None:
    """Return the name of the first entry that mixes labels, or None. Wrong entries are ignored."""
    for entry in entries:
        name = next(iter(entry), "") if isinstance(entry, dict) else entry
        if name in MIXING:
            return str(name)
    return None
