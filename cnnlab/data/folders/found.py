"""What every listing of pictures returns, and which files are pictures."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from typing import Final, NamedTuple

from cnnlab.base.errors import DataError
from cnnlab.data.image_files.image_paths import SUFFIXES
from cnnlab.data.specs import OF_HEAD, Targets

TRAIN, VALIDATION, TEST = "train", "validation", "test"
BETWEEN: Final = ";"  # several labels of a picture
CACHE_FOLDER: Final = ".cnnlab_cache"  # beside pictures; see `pixel_cache`
# Files and folders that programs leave among pictures; those that begin with a dot count, too.
_LITTER: Final = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx")
_HEAD_BYTES: Final = 16
_HEADS: Final = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*"),
    *(b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n"),
)


class Found(NamedTuple):
    """One picture.

    path: where the file is.
    name: its path below the data set's folder, with / between folders. It decides the split.
    label: the name of its class; of several labels, their names, joined as `joined_labels` says.
    split: TRAIN, VALIDATION or TEST; None: it is still to be decided.
    values: the numbers to predict; its label is then empty.
    """

    path: str
    name: str
    label: str
    split: str | None
    values: tuple[float, ...] = ()

    @property
    def target(self) -> str:
        """Its label, or its values, as text."""
        return self.label or BETWEEN.join(map(repr, self.values))


class Listing(NamedTuple):
    """The pictures of a data set, sorted by name, and what is among them.

    found: the pictures.
    hidden: the hidden files and folders, which are left out.
    others: the files that are no pictures, by name and content, which are left out.
    has_several: whether a picture has any number of labels, instead of one class.
    heads: the kinds of classes, if a picture has a class of each kind; its labels are then
        HEAD=CLASS, and has_several is True.
    values: the names of the numbers to predict, if pictures have them; has_several is True, and no
        picture has a label.
    """

    found: list[Found]
    hidden: list[str]
    others: list[str]
    has_several: bool = False
    heads: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def targets(self) -> Targets:
        """The kind of labels; see `cnnlab.data.array_labels`."""
        if self.values:
            return "values"
        if self.heads:
            return "heads"
        return "labels" if self.has_several else "classes"

    def class_names(self) -> list[str]:
        """Return the names of all classes or labels, sorted; those of heads, head after head.

        Those of values are in the order of the columns.
        """
        if self.values:
            return list(self.values)
        own = [labels_of(one, has_several=self.has_several) for one in self.found]
        names = sorted(set(itertools.chain(*own)))
        if not self.heads:
            return names
        return sorted(names, key=lambda name: self.heads.index(name.partition(OF_HEAD)[0]))


def joined_labels(text: str) -> str:
    """Return labels that are separated by ; in one form: sorted, each once."""
    return BETWEEN.join(sorted({name.strip() for name in text.split(BETWEEN)} - {""}))


def labels_of(one: Found, *, has_several: bool) -> list[str]:
    """Return the labels of a picture; if it has a class, that alone."""
    return [name for name in one.label.split(BETWEEN) if name] if has_several else [one.label]


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is none of the user's own."""
    return name.startswith(".") or name.lower() in _LITTER


def files_in(folder: str, hidden: list[str]) -> Iterator[str]:
    """Yield the paths of all files in a folder and its subfolders, sorted; links are followed.

    Args:
        folder: a folder.
        hidden: gets the paths of hidden files and folders, which are left out.

    Raises:
        DataError: a folder cannot be listed, or a link leads back to a folder above it.
    """
    yield from _files_in(folder, hidden, ())


def _files_in(folder: str, hidden: list[str], above: tuple[str, ...]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:
        raise DataError(f"{folder} is a link to a folder above it; remove the link")
    for name in names_in(folder):
        path = os.path.join(folder, name)
        if is_hidden(name):
            hidden.append(path)
        elif os.path.isdir(path):
            yield from _files_in(path, hidden, (*above, real))
        else:
            yield path


def names_in(folder: str) -> list[str]:
    """Return the names of the files and folders in a folder, sorted, without cnnlab's own.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        return sorted(name for name in os.listdir(folder) if name != CACHE_FOLDER)
    except OSError as error:
        raise DataError(
            f"the folder {folder} cannot be listed: {error.strerror}; check its permissions"
        ) from error


def is_picture(path: str) -> bool:
    """Return whether a file is a picture by the ending of its name or by its first bytes."""
    if os.path.splitext(path)[1].lower() in SUFFIXES:
        return True
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return head.startswith(_HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
