"""The names of augmentations, and how a recipe lists them.

The augmentations themselves are in `cnnlab.data.augment`.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.own_functions import is_reference

Augmentation = Literal[
    "flip",
    "vertical_flip",
    "alternating_flip",
    "pad_and_crop",
    "translate",
    "random_crop",
    "rotate",
    "shear",
    "zoom",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "channel_shift",
    "gaussian_noise",
    "cutout",
    "random_erasing",
    "mixup",
    "cutmix",
    "rand_augment",
]
AUGMENTATIONS: Final[tuple[str, ...]] = get_args(Augmentation)
MIXING: Final = ("mixup", "cutmix")  # these mix images with different labels

# Values of `--scaling` that may also be the last entry. They apply in evaluation too.
SCALINGS: Final = ("standardize", "normalize", "zca", "pca")


def parse_entry(entry: Any) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of one entry of the list.

    Args:
        entry: NAME or {NAME: {argument: value}}. The name of a function of the user's own is
            FILE.py:NAME.

    Raises:
        UsageError: the entry has another form, or its name is unknown.
    """
    name, given = _name_and_arguments(entry)
    known = (*AUGMENTATIONS, *SCALINGS)
    if name not in known and not is_reference(name):
        hint = nearest(name, known) or f"; known: {', '.join(known)}"
        raise UsageError(f"--augment: unknown augmentation {name}{hint}")
    return name, given


def _name_and_arguments(entry: Any) -> tuple[str, dict[str, Any]]:
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
