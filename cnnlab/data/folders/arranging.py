"""Makes the folders for --dataset=folder:PATH from one folder of files with numbered names."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from cnnlab.base.errors import DataError, UsageError
from cnnlab.base.files import replacing, translate_os_errors
from cnnlab.data.folders.found import files_in, is_hidden

LABEL, NUMBER = "label", "number"  # groups of the pattern
Ranges = Mapping[str, tuple[int, int]]


def parse_range(name: str, text: str) -> tuple[int, int]:
    """Return (first, end) of a range such as 0:1000, which has the numbers from 0 to 999.

    Raises:
        UsageError: it has another form, or is empty.
    """
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise UsageError(
            f"--{name}={text} is not valid: give the first number and the number after the last, "
            "as in 0:1000"
        )
    return int(match[1]), int(match[2])


def arrange(
    source: str,
    target: str,
    pattern: str,
    ranges: Ranges,
    how: Literal["copy", "link"] = "copy",
) -> dict[str, Any]:
    """Put files into TARGET/SPLIT/LABEL by their names.

    The files are collected in a folder beside the target, which gets the target's name when it is
    complete. After a kill, the same call goes on with it. Nothing happens if the target is there
    and complete.

    Args:
        source: a folder; its subfolders count, too.
        target: the folder to create.
        pattern: regular expression for the whole name of a file, with the groups `label` and
            `number`.
        ranges: split to (first, end) of its numbers.
        how: copy the files, or make links to them.

    Returns:
        folder, files (split to label to number of files), left_out (files without a place), and
        hidden.

    Raises:
        UsageError: the pattern or the ranges are wrong, or there is no source.
        DataError: a split has nothing of a class, two files have one place, or the target is there
            with other files.
    """
    plan, left_out, hidden = _plan(source, target, pattern, ranges)
    answer = {
        "folder": target,
        "files": {split: _counts_of(split, plan) for split in ranges},
        "left_out": left_out,
        "hidden": len(hidden),
    }
    if os.path.lexists(target):
        _check_complete(target, plan)
        return answer
    partial = Path(target).with_name(f".{Path(target).name}.cnnlab-arrange")
    with translate_os_errors(partial, "free some space, and repeat the command: it goes on"):
        _remove_strangers(partial, plan)
        for place, path in plan.items():
            _put(path, partial / place, how)
        for folder in sorted(partial.rglob("*"), reverse=True):
            if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()  # of a class that an earlier call had
        partial.rename(target)
    return answer


def _plan(
    source: str, target: str, pattern: str, ranges: Ranges
) -> tuple[dict[str, str], int, list[str]]:
    """Return place below the target to source file, the number of other files, and hidden ones."""
    expression = _compiled(pattern)
    _check_ranges(ranges)
    if not os.path.isdir(source):
        raise UsageError(f"{source} is no folder; give the folder of the pictures")
    hidden: list[str] = []
    plan: dict[str, str] = {}
    left_out = 0
    inside = os.path.realpath(target) + os.sep
    for path in files_in(source, hidden):
        match = expression.fullmatch(os.path.basename(path))
        split = None
        if match and not os.path.realpath(path).startswith(inside) and not is_hidden(match[LABEL]):
            if not match[NUMBER].isdecimal():
                raise UsageError(
                    f"--pattern={pattern} finds the number {match[NUMBER]} in {path}; its group "
                    r"number must match digits only: (?P<number>\d+)"
                )
            number = int(match[NUMBER])
            split = next((s for s, (first, end) in ranges.items() if first <= number < end), None)
        if match is None or split is None:
            left_out += 1
            continue
        place = f"{split}/{match[LABEL]}/{os.path.basename(path)}"
        if place in plan:
            raise DataError(f"{plan[place]} and {path} both belong to {place}; remove one")
        plan[place] = path
    _check_classes(source, pattern, plan, ranges)
    return plan, left_out, hidden


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--pattern={pattern} is not a regular expression: {error}") from error
    if missing := {LABEL, NUMBER} - set(expression.groupindex):
        raise UsageError(
            f"--pattern={pattern} has no group {sorted(missing)[0]}; write one, as in "
            r"--pattern='(?P<label>[a-z]+)\.(?P<number>\d+)\.jpg'"
        )
    return expression


def _check_ranges(ranges: Ranges) -> None:
    if not ranges:
        raise UsageError("give the numbers of each split, as in --train=0:1000 --test=1000:1400")
    ordered = sorted(ranges.items(), key=lambda item: item[1])
    for (one, (_, end)), (other, (first, _)) in itertools.pairwise(ordered):
        if first < end:
            raise UsageError(f"--{one} and --{other} overlap at {first}; give each its own numbers")


def _check_classes(source: str, pattern: str, plan: Mapping[str, str], ranges: Ranges) -> None:
    if not plan:
        raise DataError(
            f"no file in {source} has a name as --pattern={pattern} with a number in a range; the "
            "pattern must match the whole name"
        )
    there = {tuple(place.split("/")[:2]) for place in plan}
    for label in sorted({label for _, label in there}):
        for split in ranges:
            if (split, label) not in there:
                raise DataError(
                    f"{split} would have nothing of the class {label}: no file in {source} has its "
                    f"numbers; choose another --{split}"
                )


def _check_complete(target: str, plan: Mapping[str, str]) -> None:
    """Raise DataError unless the target has the files of the plan and no others."""
    there = {
        os.path.relpath(path, target).replace(os.sep, "/"): path for path in files_in(target, [])
    }
    for place in sorted({*plan, *there}):
        if (
            place not in there
            or place not in plan
            or os.path.getsize(there[place]) != os.path.getsize(plan[place])
        ):
            raise DataError(
                f"{target} is there, and its {place} is not what this command makes; choose "
                "another folder, or move it away"
            )


def _remove_strangers(partial: Path, plan: Mapping[str, str]) -> None:
    """Remove what another call, with other arguments, left in the folder that it did not finish."""
    for path in sorted(partial.rglob("*")) if partial.is_dir() else ():
        if not path.is_dir() and path.relative_to(partial).as_posix() not in plan:
            path.unlink()


def _put(source: str, path: Path, how: str) -> None:
    """Copy or link a file, unless an earlier call did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if how == "link":
        path.unlink(missing_ok=True)
        path.symlink_to(os.path.realpath(source))
    elif path.is_symlink() or not path.exists() or path.stat().st_size != os.path.getsize(source):
        path.unlink(missing_ok=True)
        with open(source, "rb") as original, replacing(path) as copy:
            shutil.copyfileobj(original, copy)


def _counts_of(split: str, plan: Mapping[str, str]) -> dict[str, int]:
    """Return the number of files of each class in a split."""
    places = [place.split("/") for place in plan]
    return dict(sorted(Counter(label for which, label, _ in places if which == split).items()))
