"""Lists the pictures of folder:PATH: a folder a class, with or without folders for splits."""

from __future__ import annotations

import os
from collections.abc import Iterable

from cnnlab.base.errors import DataError, nearest
from cnnlab.data.folders.found import (
    TEST,
    TRAIN,
    VALIDATION,
    Found,
    Listing,
    files_in,
    is_hidden,
    is_picture,
    names_in,
)

# The names that a split's folder may have, in any case.
SPLIT_FOLDERS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}


def list_folder(root: str) -> Listing:
    """List the pictures below a folder.

    With a folder `train`, the folders `val` (or valid, validation) and `test` are the other splits,
    and each of them has one folder a class. Without it, the folder itself has one folder a class.
    Folders inside that of a class count as part of it.

    Raises:
        DataError: the folder does not exist or cannot be listed, has no class or only one, a class
            has no picture or is not among those of training, or two classes differ in case only.
    """
    if not os.path.isdir(root):
        what = "is a file, not a folder" if os.path.exists(root) else "does not exist"
        raise DataError(f"--dataset=folder:{root}: this folder {what}; check the path")
    hidden: list[str] = []
    others: list[str] = []
    splits = _split_folders(root)
    found: list[Found] = []
    if splits:
        _sorted_out(root, hidden, others)
    else:
        found = _pictures(root, root, None, hidden, others)
    for name, split in splits:
        decided = None if len(splits) == 1 else split
        found += _pictures(root, os.path.join(root, name), decided, hidden, others)
    _check_classes(root, found)
    return Listing(sorted(found, key=lambda one: one.name), hidden, others)


def _split_folders(root: str) -> list[tuple[str, str]]:
    """Return (name, split) of the folders for splits; none without a folder for training."""
    found = [
        (name, SPLIT_FOLDERS[name.lower()])
        for name in names_in(root)
        if name.lower() in SPLIT_FOLDERS and os.path.isdir(os.path.join(root, name))
    ]
    kinds = [split for _, split in found]
    for split in set(kinds):
        if kinds.count(split) > 1:
            both = " and ".join(name for name, kind in found if kind == split)
            raise DataError(f"{root} has the folders {both}, both for {split}; keep one of them")
    if TRAIN not in kinds:
        if found and len(found) == len(_sorted_out(root, [], [])):
            raise DataError(
                f"{root} has {found[0][0]}/, but no train/; add it, with a folder for each class"
            )
        return []
    strange = [name for name in _sorted_out(root, [], []) if name not in dict(found)]
    if strange:
        raise DataError(
            f"{root} has train/ and beside it {strange[0]}/, which is no split; move it away, or "
            "rename it to val or test"
        )
    return found


def _sorted_out(folder: str, hidden: list[str], others: list[str]) -> list[str]:
    """Return the names of the folders in a folder; add what else is there to the lists."""
    folders: list[str] = []
    for name in names_in(folder):
        path = os.path.join(folder, name)
        if is_hidden(name):
            hidden.append(path)
        elif os.path.isdir(path):
            folders.append(name)
        else:
            others.append(path)
    return folders


def _pictures(
    root: str, folder: str, split: str | None, hidden: list[str], others: list[str]
) -> list[Found]:
    """Return the pictures of the classes whose folders are in `folder`."""
    found: list[Found] = []
    labels = _sorted_out(folder, hidden, others)
    if not labels:
        raise DataError(
            f"{folder} has no folder for a class; put the pictures of each class into a folder "
            "named like the class"
        )
    for label in labels:
        paths = list(files_in(os.path.join(folder, label), hidden))
        pictures = [path for path in paths if is_picture(path)]
        others += sorted(set(paths) - set(pictures))
        if not pictures:
            raise DataError(
                f"the class {label} has no picture in {os.path.join(folder, label)}; add some, or "
                "remove the folder"
            )
        start = len(os.path.join(root, ""))
        names = (path[start:].replace(os.sep, "/") for path in pictures)
        found += [
            Found(path, name, label, split) for path, name in zip(pictures, names, strict=True)
        ]
    return found


def _check_classes(root: str, found: Iterable[Found]) -> None:
    check_labels(root, (one.label for one in found))
    known = {one.label for one in found if one.split in (None, TRAIN)}
    for one in found:
        if one.label not in known:
            raise DataError(
                f"{one.split} has the class {one.label}, which train has not{_hint(one, known)}; "
                f"rename its folder in {root}, or add pictures to train"
            )


def _hint(one: Found, known: Iterable[str]) -> str:
    return nearest(one.label, known).replace("; did", ": did")


def check_labels(where: str, names: Iterable[str], *, has_several: bool = False) -> None:
    """Check the names of the classes, or of the labels if a picture has several.

    Raises:
        DataError: there is only one class, or no label, or two of them differ in case only.
    """
    labels = sorted(set(names))
    if not labels:
        raise DataError(f"{where} has no label; write them into the column labels, as in a;b")
    if len(labels) == 1 and not has_several:
        raise DataError(
            f"{where} has only the class {labels[0]}; a network needs at least two classes to tell "
            "apart"
        )
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(label.casefold(), label)
        if other != label:
            raise DataError(
                f"{where} has the classes {other} and {label}, which differ in case only; merge or "
                "rename them"
            )
