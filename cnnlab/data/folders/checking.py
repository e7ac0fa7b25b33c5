"""What is wrong with a data set of pictures: the faults that `cnnlab data check` finds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.data.folders.class_folders import SPLIT_FOLDERS
from cnnlab.data.folders.examining import Examined, examine
from cnnlab.data.folders.found import TRAIN, Found, Listing, files_in, is_picture, labels_of
from cnnlab.data.folders.similar import alike, joined

MUST_REPAIR: Final = ("structure", "unreadable", "leakage", "contradiction")
_ORDER: Final = (
    *MUST_REPAIR,
    *("duplicate", "near_duplicate", "one_colour", "frames", "imbalance", "suspicious_label"),
)
_UNEVEN: Final = 3  # times as many pictures in the largest class as in the smallest
_VALUES: Final = "(values)"  # pictures that have no class, but numbers to predict
_DOUBTFUL: Final = 0.1  # probability that a run gives to the label of a picture

# Returns the probability of each class, float [n, classes], and the names of the classes.
Judge = Callable[[Sequence[str]], tuple[npt.NDArray[Any], Sequence[str]]]


class Fault(NamedTuple):
    """One fault.

    kind: one word; those of MUST_REPAIR make training fail or its figures wrong.
    text: what is wrong and what to do.
    files: the pictures, if the fault is theirs.
    """

    kind: str
    text: str
    files: list[str]


class Checked(NamedTuple):
    """The outcome: facts as `cnnlab data check --json` prints them, and the faults."""

    facts: dict[str, Any]
    faults: list[Fault]


def check_pictures(
    root: str,
    listing: Callable[[], Listing],
    most_bits: int,
    judge: Judge | None = None,
) -> Checked:
    """Read all pictures of a folder or a list, and look for faults.

    Args:
        root: the folder, or the folder of the list.
        listing: lists the pictures; if it raises, all pictures below root are looked at.
        most_bits: largest number of different bits, of 128, between the difference hashes of two
            pictures that count as near duplicates.
        judge: what a run says of pictures; None: labels are not judged.
    """
    faults: list[Fault] = []
    try:
        listed = listing()
    except DataError as error:
        faults.append(Fault("structure", str(error), []))
        listed = _everything(root)
    examined = examine(listed.found)
    good = [one for one in examined if not one.error]
    faults += [Fault("unreadable", one.error, [one.found.path]) for one in examined if one.error]
    faults += _copies(good, most_bits)
    faults += [
        Fault("one_colour", "the picture has one colour only", [one.found.path])
        for one in good
        if one.is_plain
    ]
    faults += [
        Fault("frames", f"only the first of its {one.frames} frames is used", [one.found.path])
        for one in good
        if one.frames > 1
    ]
    faults += [] if listed.has_several else _imbalance(listed.found)
    if judge is not None and good:
        faults += _doubts(good, *judge([one.found.path for one in good]))
    faults.sort(key=lambda fault: _ORDER.index(fault.kind))
    return Checked(_facts(listed, good), faults)


def _everything(root: str) -> Listing:
    """Return all pictures below a folder, with the class and split that their folders suggest."""
    hidden: list[str] = []
    found: list[Found] = []
    others: list[str] = []
    for path in files_in(root, hidden) if os.path.isdir(root) else ():
        name = os.path.relpath(path, root).replace(os.sep, "/")
        folders = name.split("/")[:-1]
        split = SPLIT_FOLDERS.get(folders[0].lower()) if folders else None
        labels = folders[1:] if split else folders
        if is_picture(path):
            found.append(Found(path, name, labels[0] if labels else "(none)", split))
        else:
            others.append(path)
    return Listing(found, hidden, others)


def _copies(good: Sequence[Examined], most_bits: int) -> Iterator[Fault]:
    """Yield the faults of equal and similar pictures."""
    first: dict[bytes, int] = {}
    equal = [(first[one.content], i) for i, one in enumerate(good) if _is_known(first, one, i)]
    shaped = [i for i, one in enumerate(good) if not one.is_plain]
    looks = np.array([good[i].look for i in shaped])
    near = [(shaped[i], shaped[j]) for i, j in alike(looks, most_bits)] if shaped else []
    for rows in joined(equal + near):
        members = [good[i] for i in rows]
        is_equal = len({one.content for one in members}) == 1
        paths = [one.found.path for one in members]
        splits = sorted({one.found.split or "" for one in members})
        labels = sorted({one.found.target for one in members})
        what = "the same file" if is_equal else "pictures that look alike"
        if len(splits) > 1:
            text = f"{what} in {' and '.join(splits)}; keep them in one split"
            yield Fault("leakage", text, paths)
        if len(labels) > 1 and is_equal:
            kind = "with the values" if members[0].found.values else "in the classes"
            text = f"the same file {kind} {' and '.join(labels)}; remove the wrong one"
            yield Fault("contradiction", text, paths)
        elif len(splits) == 1:
            advice = "keep one" if is_equal else "keep one, or keep them together with --group"
            yield Fault("duplicate" if is_equal else "near_duplicate", f"{what}; {advice}", paths)


def _is_known(first: dict[bytes, int], one: Examined, i: int) -> bool:
    return first.setdefault(one.content, i) != i


def _imbalance(found: Sequence[Found]) -> Iterator[Fault]:
    counts = Counter(one.label for one in found if one.split in (None, TRAIN))
    if len(counts) < 2:
        return
    (largest, most), (smallest, fewest) = counts.most_common()[0], counts.most_common()[-1]
    if most >= _UNEVEN * fewest:
        yield Fault(
            "imbalance",
            f"{most} pictures of {largest}, but {fewest} of {smallest} to train on; consider "
            "--class_weights=balanced, and look at the figures of each class",
            [],
        )


def _doubts(
    good: Sequence[Examined], probabilities: npt.NDArray[Any], names: Sequence[str]
) -> list[Fault]:
    """Return the labels that a run finds improbable, the least probable first."""
    found: list[tuple[float, Fault]] = []
    for one, row in zip(good, probabilities, strict=True):
        if one.found.label not in names:
            continue
        of_label, best = float(row[names.index(one.found.label)]), int(row.argmax())
        if of_label < _DOUBTFUL:
            text = (
                f"labelled {one.found.label} ({of_label:.1%}), but the run says {names[best]} "
                f"({row[best]:.1%}); look at it"
            )
            found.append((of_label, Fault("suspicious_label", text, [one.found.path])))
    return [fault for _, fault in sorted(found, key=lambda pair: pair[0])]


def _facts(listed: Listing, good: Sequence[Examined]) -> dict[str, Any]:
    splits: dict[str, dict[str, int]] = {}
    for one in listed.found:
        counts = splits.setdefault(one.split or "all", {})
        own = labels_of(one, has_several=listed.has_several)
        for label in [_VALUES] if listed.values else own:
            counts[label] = counts.get(label, 0) + 1
    sizes = Counter((one.width, one.height) for one in good)
    facts: dict[str, Any] = {
        "pictures": len(listed.found),
        "splits": {name: dict(sorted(splits[name].items())) for name in sorted(splits)},
        "hidden": listed.hidden,
        "others": listed.others,
        "formats": dict(Counter(one.format for one in good)),
        "modes": dict(Counter(one.mode for one in good)),
        "different_sizes": len(sizes),
    }
    if good:
        for side in ("width", "height"):
            values = [getattr(one, side) for one in good]
            facts[side] = {
                "smallest": min(values),
                "median": int(np.median(values)),
                "largest": max(values),
            }
    return facts
