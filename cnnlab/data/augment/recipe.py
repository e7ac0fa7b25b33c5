"""Checks a recipe's list of augmentations before TensorFlow is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.own_functions import is_reference
from cnnlab.config import arguments as function_arguments
from cnnlab.config.augmentations import SCALINGS, parse_entry
from cnnlab.data.augment import colour, crops, erasing, geometry, mixing, rand_augment


class Augmentation(NamedTuple):
    """One augmentation.

    function: (images, keys, **arguments) -> images; see `cnnlab.data.augment`.
    moves_only: whether it only moves pixels, so that uint8 is enough.
    evaluation_view: the function that evaluation applies to images instead; None: none.
    """

    function: Callable[..., Any]
    moves_only: bool = False
    evaluation_view: Callable[..., Any] | None = None


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": Augmentation(geometry.flip, moves_only=True),
    "vertical_flip": Augmentation(geometry.vertical_flip, moves_only=True),
    "alternating_flip": Augmentation(geometry.alternating_flip, moves_only=True),
    "pad_and_crop": Augmentation(geometry.pad_and_crop, moves_only=True),
    "translate": Augmentation(geometry.translate, moves_only=True),
    "random_crop": Augmentation(
        crops.random_crop, moves_only=True, evaluation_view=crops.central_crop
    ),
    "central_crop": Augmentation(
        crops.central_crop, moves_only=True, evaluation_view=crops.central_crop
    ),
    "scale_jitter": Augmentation(crops.scale_jitter, evaluation_view=crops.central_scaled_crop),
    "rotate": Augmentation(geometry.rotate),
    "shear": Augmentation(geometry.shear),
    "zoom": Augmentation(geometry.zoom),
    "brightness": Augmentation(colour.brightness),
    "contrast": Augmentation(colour.contrast),
    "saturation": Augmentation(colour.saturation),
    "hue": Augmentation(colour.hue),
    "channel_shift": Augmentation(colour.channel_shift),
    "gaussian_noise": Augmentation(colour.gaussian_noise),
    "cutout": Augmentation(erasing.cutout, moves_only=True),
    "random_erasing": Augmentation(erasing.random_erasing),
    "mixup": Augmentation(mixing.mixup),
    "cutmix": Augmentation(mixing.cutmix, moves_only=True),
    "rand_augment": Augmentation(rand_augment.rand_augment),
}

NEEDS_COLOUR = ("saturation", "hue")


def parse_augmentations(entries: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the names and arguments of a recipe's list of NAME or {NAME: {argument: value}}.

    Raises:
        UsageError: an entry has another form, a name or an argument is unknown or out of range, or
            a scaling is not the last entry.
    """
    parsed: list[tuple[str, dict[str, Any]]] = []
    for position, entry in enumerate(entries):
        name, given = parse_entry(entry)
        if name in SCALINGS:
            if given or position != len(entries) - 1:
                raise UsageError(f"--augment: {name} takes no arguments and must be the last entry")
            parsed.append((name, {}))
            continue
        if is_reference(name):  # the user's own, which is checked when it is loaded
            parsed.append((name, given))
            continue
        if name not in AUGMENTATIONS:
            known = (*AUGMENTATIONS, *SCALINGS)
            hint = nearest(name, known) or f"; known: {', '.join(known)}"
            raise UsageError(f"--augment: unknown augmentation {name}{hint}")
        checked = function_arguments.check(
            AUGMENTATIONS[name].function, given, f"--augment: {name}"
        )
        if {"lower", "upper"} <= checked.keys() and checked["lower"] > checked["upper"]:
            raise UsageError(
                f"--augment: {name}: lower {checked['lower']} is above upper {checked['upper']}; "
                "swap them"
            )
        parsed.append((name, checked))
    return parsed


def scaling_of(entries: list[Any], scaling: str) -> str:
    """Return the scaling at the end of the list, or `scaling` if the list has none.

    Raises:
        UsageError: the list and `scaling` name different scalings.
    """
    last = parse_augmentations(entries)[-1][0] if entries else ""
    if last not in SCALINGS:
        return scaling
    if scaling not in ("unit", last):
        raise UsageError(
            f"--augment ends in {last}, but --scaling={scaling}; give only one of them"
        )
    return last


def evaluation_views(entries: list[Any]) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    """Return what evaluation applies to images, in order: functions and their arguments.

    Args:
        entries: the recipe's list.
    """
    found = [
        (AUGMENTATIONS[name].evaluation_view, arguments)
        for name, arguments in parse_augmentations(entries)
        if name in AUGMENTATIONS
    ]
    return [(view, arguments) for view, arguments in found if view is not None]


def shape_after(entries: list[Any], image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the shape of images after the list; it is the same in training and evaluation.

    Args:
        entries: the recipe's list.
        image_shape: (height, width, channels) of the data set.

    Raises:
        UsageError: an entry does not fit images of this shape.
    """
    height, width, channels = image_shape
    for name, given in parse_augmentations(entries):
        if name in NEEDS_COLOUR and channels != 3:
            raise UsageError(
                f"--augment: {name} needs colour images with 3 channels; these have {channels}"
            )
        if name in ("random_crop", "central_crop"):
            if given["size"] > min(height, width):
                raise UsageError(
                    f"--augment: {name} of {given['size']} from images of {height} x {width}; "
                    "use a smaller size"
                )
            height = width = given["size"]
        if name == "scale_jitter":
            if given["size"] > given["lower"]:
                raise UsageError(
                    f"--augment: scale_jitter crops {given['size']} pixels, but the short side may "
                    f"have only {given['lower']}; use lower >= size"
                )
            height = width = given["size"]
        is_reflected = name in AUGMENTATIONS and given.get("mode") == "reflect"
        if is_reflected and given.get("pixels", 0) >= min(height, width):
            raise UsageError(
                f"--augment: {name} cannot reflect {given['pixels']} pixels of images of "
                f"{height} x {width}; use fewer pixels or mode: zero"
            )
    return height, width, channels
