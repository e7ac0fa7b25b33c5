"""Divides pictures into training, validation and test sets, independent of the order of files.

The order in which pictures are chosen is that of a hash of their names. So a new picture hardly
changes where the others are, and the split is the same on every machine and for every seed.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError, UsageError
from cnnlab.data.folders.found import TEST, TRAIN, VALIDATION, Found, labels_of
from cnnlab.data.folders.value_columns import hint_of_number

_NO_LABEL: Final = ""  # of pictures without any; they are divided, too


def divide(
    found: Sequence[Found],
    test_split: float,
    validation_split: float,
    group: str | None,
    *,
    has_several: bool = False,
) -> list[Found]:
    """Return the pictures with all their splits decided.

    A split that the folders or the list decide stays. Without a test set, test_split of each class
    becomes one, unless there is a validation set: it then serves as the test set, too. Without a
    validation set, validation_split of each class is taken from training.

    Args:
        found: the pictures, either all with a split or all without.
        test_split: fraction of each class, in (0, 1).
        validation_split: fraction of each class that is trained on otherwise, in [0, 1).
        group: regular expression, found in the name of each picture; the pictures with the same
            match (its first group, if it has one) are never in two splits.
        has_several: see `Listing`. The fractions are then of each label. A test or validation set
            may lack a label.

    Raises:
        UsageError: a picture's name does not match `group`, or validation_split is given beside a
            validation set.
        DataError: pictures of one group are in two splits, or a split would lack a class.
    """
    groups = [_group_of(one, group) for one in found]
    classes = [labels_of(one, has_several=has_several) or [_NO_LABEL] for one in found]
    splits = [one.split for one in found]
    if None in splits:
        if any(splits):
            one = found[splits.index(None)]
            raise DataError(f"{one.name} has no split, but others have; give one to all or none")
        splits = _held_out(classes, groups, splits, None, TEST, test_split, may_lack=has_several)
        splits = [split or TRAIN for split in splits]
    if TEST not in splits:
        splits = [TEST if split == VALIDATION else split for split in splits]
    if VALIDATION in splits and validation_split:
        raise UsageError(
            f"--validation_split={validation_split} splits the training set, but the data has a "
            "validation set; leave out one of them"
        )
    _check_groups(found, groups, splits)
    if validation_split:
        splits = _held_out(
            classes, groups, splits, TRAIN, VALIDATION, validation_split, may_lack=has_several
        )
    return [one._replace(split=split) for one, split in zip(found, splits, strict=True)]


def _group_of(one: Found, group: str | None) -> str:
    if group is None:
        return one.name
    match = re.search(group, one.name)
    if match is None:
        raise UsageError(
            f"--group={group} does not match {one.name}; it must match the path of every picture, "
            "as in --group='person[0-9]+'"
        )
    return match[1] or "" if match.re.groups else match[0]


def _check_groups(
    found: Sequence[Found], groups: Sequence[str], splits: Sequence[str | None]
) -> None:
    """Raise DataError if pictures of one group are in two splits."""
    seen: dict[str, int] = {}
    for i, name in enumerate(groups):
        first = seen.setdefault(name, i)
        if splits[first] != splits[i]:
            raise DataError(
                f"{found[first].name} in {splits[first]} and {found[i].name} in {splits[i]} are of "
                f"the same group {name}; move one of them"
            )


def _held_out(
    classes: Sequence[Sequence[str]],
    groups: Sequence[str],
    splits: Sequence[str | None],
    source: str | None,
    target: str,
    fraction: float,
    *,
    may_lack: bool,
) -> list[str | None]:
    """Move about a fraction of each class from one split to another, whole groups only.

    Args:
        classes: the classes of each picture; several, if it has labels.
        groups: the group of each picture.
        splits: the split of each picture.
        source, target: the splits.
        fraction: of each class.
        may_lack: whether the target may have nothing of a class.
    """
    labels = sorted({name for own in classes for name in own})
    index = {label: i for i, label in enumerate(labels)}
    members: dict[str, list[int]] = {}
    for i, name in enumerate(groups):
        if splits[i] == source:
            members.setdefault(name, []).append(i)
    numbers = [[index[label] for label in own] for own in classes]
    total = np.bincount(
        [k for rows in members.values() for i in rows for k in numbers[i]], minlength=len(labels)
    )
    missing = _quotas(total, fraction).tolist()
    moved = list(splits)

    def turn(name: str) -> tuple[int, bytes, str]:
        # Rare labels first: once the frequent ones have their quotas, no picture of both may move.
        rarest = min(int(total[k]) for i in members[name] for k in numbers[i]) if may_lack else 0
        return rarest, _hash(f"{target}/{name}"), name

    # A group moves if the numbers of moved pictures then are closer to the quotas. There may be a
    # million groups, most of one picture, so only the classes of a group are looked at.
    for name in sorted(members, key=turn):
        counts = Counter(k for i in members[name] for k in numbers[i])
        if sum(abs(missing[k] - n) - abs(missing[k]) for k, n in counts.items()) < 0:
            for k, n in counts.items():
                missing[k] -= n
            for i in members[name]:
                moved[i] = target
    there: dict[str, Counter[str | None]] = {label: Counter() for label in labels}
    for own, split in zip(classes, moved, strict=True):
        for label in own:
            there[label][split] += 1
    for label in labels:
        if label == _NO_LABEL:
            continue
        for which in (source,) if may_lack else (target, source):
            if not there[label][which]:
                raise _empty(label, which or TRAIN, there[label].total(), target)
    return moved


def _quotas(total: npt.NDArray[np.int64], fraction: float) -> npt.NDArray[np.int64]:
    """Return how many pictures of each class to move: the rounded fraction, but 1 to all but 1."""
    return np.clip(np.floor(total * fraction + 0.5).astype(np.int64), 1, np.maximum(total - 1, 1))


def _empty(label: str, which: str, pictures: int, target: str) -> DataError:
    return DataError(
        f"the {which} set would have nothing of the class {label}, which has {pictures} "
        f"pictures; add pictures of it, or choose another --{target}_split"
        f"{hint_of_number(label)}"
    )


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
