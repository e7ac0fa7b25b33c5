"""The commands `cnnlab data check` and `cnnlab data arrange`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.base.files import write_output
from cnnlab.base.printing import print_as_is, print_lines
from cnnlab.config import cli
from cnnlab.config.config import Config
from cnnlab.config.input_options import is_pictures
from cnnlab.config.options import STRICT, Options, option
from cnnlab.config.own_code_options import OwnCodeOptions
from cnnlab.config.terminal import render_table
from cnnlab.data.folders.arranging import arrange, parse_range
from cnnlab.data.folders.check_page import check_page
from cnnlab.data.folders.checking import MUST_REPAIR, Checked, Fault, Judge, check_pictures
from cnnlab.data.folders.dividing import divide
from cnnlab.data.folders.found import TEST, TRAIN, VALIDATION, Listing
from cnnlab.data.folders.picture_set import list_pictures

_SHOWN_FAULTS = 5  # of one kind
_SHOWN_FILES = 3  # of one fault


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class CheckOptions(OwnCodeOptions):
    """Options of `python -m cnnlab.data check`."""

    save_dir: str | None = option(
        None,
        "run directory; pictures whose label the run finds improbable are listed, and the splits "
        "are those of the run",
        group="check",
        is_path=True,
        min_length=1,
    )
    html: str | None = option(
        None,
        "HTML file to write, with the pictures of each fault",
        group="check",
        is_path=True,
        min_length=1,
    )
    near: int = option(
        6,
        "largest number of different bits, of 128, between the hashes of near duplicates",
        unit="bits",
        group="check",
        ge=0,
        le=32,
    )


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ArrangeOptions(Options):
    """Options of `python -m cnnlab.data arrange`."""

    pattern: str | None = option(
        None,
        "regular expression for the whole name of a file, with the groups label and number, as in "
        r"'(?P<label>[a-z]+)\.(?P<number>\d+)\.jpg'",
        group="arrange",
    )
    train: str | None = option(
        None, "numbers of the training set, as in 0:1000: from 0 to 999", group="arrange"
    )
    validation: str | None = option(None, "numbers of the validation set", group="arrange")
    test: str | None = option(None, "numbers of the test set", group="arrange")
    how: Literal["copy", "link"] = option(
        "copy", "copy the files, or make symbolic links to them", group="arrange"
    )


def check_command(
    options: CheckOptions,
    words: tuple[str, ...],
    judge_of: Callable[[CheckOptions], tuple[Config, Judge]],
) -> dict[str, Any]:
    """Check pictures, and print or write what was found.

    Args:
        options: those of the command.
        words: the path of a folder or a CSV file; none: the pictures of the run.
        judge_of: returns the options of the run in save_dir, and what it says of pictures.

    Raises:
        UsageError: no path or several, or the run is of no pictures.
        Exit: a fault must be repaired.
    """
    config, judge = (None, None) if options.save_dir is None else judge_of(options)
    dataset = _dataset(words, config)
    path = dataset.partition(":")[2]
    if not os.path.exists(path):
        raise UsageError(f"{path} does not exist; give the folder, or the CSV file, of pictures")

    def listing() -> Listing:
        listed = list_pictures(dataset, None if config is None else config.heads)
        if config is None or dataset != config.dataset:
            return listed
        divided = divide(
            listed.found,
            config.test_split,
            config.validation_split,
            config.group,
            has_several=listed.has_several,
        )
        return listed._replace(found=divided)

    checked = check_pictures(path, listing, options.near, judge)
    if options.html is not None:
        page = Path(options.html)
        page.parent.mkdir(parents=True, exist_ok=True)
        write_output(page, check_page(path, checked))
    if not options.json:
        _print(checked, options.html)
    answer = {**checked.facts, "faults": [fault._asdict() for fault in checked.faults]}
    if serious := sum(fault.kind in MUST_REPAIR for fault in checked.faults):
        raise cli.Exit(1, answer, f"{serious} faults must be repaired before training")
    return answer


def _dataset(words: tuple[str, ...], config: Config | None) -> str:
    if len(words) == 1:
        kind = "list" if os.path.isfile(words[0]) else "folder"
        return f"{kind}:{os.path.abspath(os.path.expanduser(words[0]))}"
    if words or config is None:
        raise UsageError("name one folder or CSV file, as in: cnnlab data check my_pictures")
    if not is_pictures(config.dataset):
        raise UsageError(f"the run was trained on {config.dataset}; name a folder of pictures")
    return config.dataset


def _print(checked: Checked, page: str | None) -> None:
    """Print the numbers of pictures and the faults for people."""
    facts = checked.facts
    splits = facts["splits"]
    labels = sorted({label for counts in splits.values() for label in counts})
    rows = [[label, *(str(n.get(label, 0)) for n in splits.values())] for label in labels]
    print_as_is(render_table(["class", *splits], rows))
    if "width" in facts:
        width, height = (
            "{smallest} to {largest} (median {median})".format(**facts[side])
            for side in ("width", "height")
        )
        print_lines(f"{facts['pictures']} pictures, {width} wide, {height} high")
        for kind in ("formats", "modes"):
            print_lines(f"{kind}: " + ", ".join(f"{n} {name}" for name, n in facts[kind].items()))
    print_lines(f"left out: {len(facts['hidden'])} hidden, {len(facts['others'])} no pictures")
    for kind, faults in itertools.groupby(checked.faults, key=lambda fault: fault.kind):
        _print_kind(kind, list(faults))
    if not checked.faults:
        print_lines("no faults found")
    if page is not None:
        print_lines(f"with pictures: {page}")


def _print_kind(kind: str, faults: list[Fault]) -> None:
    print_lines(f"{kind.replace('_', ' ')}: {len(faults)}")
    for fault in faults[:_SHOWN_FAULTS]:
        more = ", ..." if len(fault.files) > _SHOWN_FILES else ""
        files = ", ".join(fault.files[:_SHOWN_FILES]) + more
        named = "" if not files or files in fault.text else f": {files}"
        print_lines(f"  {fault.text}{named}")
    if len(faults) > _SHOWN_FAULTS:
        print_lines(f"  and {len(faults) - _SHOWN_FAULTS} more; --html=FILE shows them")


def arrange_command(options: ArrangeOptions, words: tuple[str, ...]) -> dict[str, Any]:
    """Make folders for splits and classes; see `cnnlab.data.folders.arranging`.

    Raises:
        UsageError: there are not two folders, or no pattern.
        CnnlabError: see `arrange`.
    """
    if len(words) != 2:
        raise UsageError("name two folders, as in: cnnlab data arrange FROM TO --train=0:1000 ...")
    if options.pattern is None:
        raise UsageError(
            "--pattern says how files are named, as in "
            r"--pattern='(?P<label>[a-z]+)\.(?P<number>\d+)\.jpg'"
        )
    given = {name: getattr(options, name) for name in (TRAIN, VALIDATION, TEST)}
    ranges = {name: parse_range(name, text) for name, text in given.items() if text is not None}
    source, target = (os.path.expanduser(word).rstrip(os.sep) for word in words)
    answer = arrange(source, target, options.pattern, ranges, options.how)
    if not options.json:
        for split, counts in answer["files"].items():
            said = ", ".join(f"{n} {label}" for label, n in counts.items())
            print_lines(f"{target}/{split}: {said}")
        print_lines(f"{answer['left_out']} files of {source} are in no split")
    return answer
