"""The command `python -m cnnlab.data list|fetch|verify|show|check|arrange`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import DataError, UsageError, nearest
from cnnlab.base.printing import print_as_is, print_lines
from cnnlab.config import cli
from cnnlab.config.config import Config
from cnnlab.config.options import STRICT, Options, option
from cnnlab.config.terminal import render_table
from cnnlab.data.files.sources import fetch_dataset
from cnnlab.data.files.verifying import verify_dataset
from cnnlab.data.folders.checking import Judge
from cnnlab.data.grey_levels import in_range
from cnnlab.data.image_files.image_reader import read_images
from cnnlab.data.image_files.resizing import Resizing
from cnnlab.data.specs import DATASETS, MADE_FROM, OFFICIAL_FILES, dataset_spec

if TYPE_CHECKING:
    from cnnlab.data.folders.picture_commands import CheckOptions

ACTIONS = ("list", "fetch", "verify", "show", "check", "arrange")


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class DataOptions(Options):
    """Options of `python -m cnnlab.data`."""

    dataset: str | None = option(
        None, "data set to fetch or verify; `list` shows their names", group="data"
    )
    data_dir: str = option(
        "./data",
        "folder of the data files; fetch creates it",
        group="data",
        is_path=True,
        min_length=1,
    )
    overwrite: bool = option(
        False,
        "for fetch: replace files that have the names of the official ones but other content",
        group="data",
    )


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.data`."""
    words = sys.argv[1:] if words is None else list(words)
    if words[:1] == ["show"]:
        _show(words[1:])
    if words[:1] == ["check"]:
        _check(words[1:])
    if words[:1] == ["arrange"]:
        _arrange(words[1:])
    cli.run(
        _data_command,
        DataOptions,
        words,
        usage="python -m cnnlab.data list|fetch|verify|show|check|arrange [--dataset=NAME] "
        "[--data_dir=DIR]",
        about="list: show the data sets; fetch: download the files of one; verify: check them. "
        "show: write a contact sheet of what training sees; check: look for faults in pictures of "
        "your own; arrange: put them into folders. For the options of these three: show --help, "
        "check --help, arrange --help.",
        takes_words=True,
    )


def _show(words: Sequence[str]) -> None:
    """Run the command `python -m cnnlab.data show`, which takes the options of a training run."""
    from cnnlab.config.resolve import resolve
    from cnnlab.data.show import ShowOptions, show

    def command(options: ShowOptions, _words: tuple[str, ...]) -> dict[str, Any]:
        answer = show(options)
        shape = " x ".join(map(str, answer["input_shape"]))
        cli.say(
            f"{answer['images']} images in {answer['file']}; the network gets {shape}, from "
            f"{answer['input_min']:.4g} to {answer['input_max']:.4g}",
            options,
        )
        return answer

    cli.run(
        command,
        ShowOptions,
        words,
        usage="python -m cnnlab.data show [--config=RECIPE] [--out=FILE] [--name=value ...]",
        about="Draw a contact sheet: the first training images, and below each what training sees.",
        resolve=lambda given: resolve(given, ShowOptions),
    )


def _check(words: Sequence[str]) -> None:
    """Run the command `python -m cnnlab.data check`."""
    from cnnlab.data.folders.picture_commands import CheckOptions, check_command

    cli.run(
        lambda options, words: check_command(options, words, _judge_of),
        CheckOptions,
        words,
        usage="python -m cnnlab.data check PATH [--save_dir=RUN] [--html=FILE]",
        about="Look for faults in a folder or a CSV list of pictures: files that cannot be read, "
        "copies within and across splits, and more. Exits with 1 if one must be repaired.",
        takes_words=True,
    )


def _arrange(words: Sequence[str]) -> None:
    """Run the command `python -m cnnlab.data arrange`."""
    from cnnlab.data.folders.picture_commands import ArrangeOptions, arrange_command

    cli.run(
        arrange_command,
        ArrangeOptions,
        words,
        usage="python -m cnnlab.data arrange FROM TO --pattern=REGEX --train=0:1000 ...",
        about="Put pictures with numbered names into the folders TO/train/CLASS and TO/test/CLASS. "
        "After an interruption, the same command goes on.",
        takes_words=True,
    )


def _judge_of(options: CheckOptions) -> tuple[Config, Judge]:
    """Return the options of the run in save_dir, and what it says of pictures."""
    from cnnlab.run.disk.config_file import load_config, load_run_data
    from cnnlab.run.own_code import parts_of_run
    from cnnlab.run.trained_model import TrainedModel, check_image_shape

    save_dir = options.save_dir
    assert save_dir is not None
    config = load_config(save_dir)
    parts = parts_of_run(config, options.model, trust=options.trust)
    spec = load_run_data(config).spec
    check_image_shape(save_dir, config, spec, "latest", parts)

    def judge(files: Sequence[str]) -> tuple[Any, Sequence[str]]:
        found = []
        size = config.smallest_eval_batch_size
        batches = read_images(files, spec.image_shape, size, _refuse, Resizing.of(config))
        with TrainedModel(save_dir, config, spec, parts=parts) as trained:
            for batch in batches:
                found.append(trained.predict(in_range(batch.images, spec.image_range)))
        return np.concatenate(found), spec.class_names

    return config, judge


def _refuse(error: DataError) -> NoReturn:
    """Raise the error of a picture that changed while it was checked."""
    raise error


def _data_command(options: DataOptions, words: tuple[str, ...]) -> list[dict[str, Any]]:
    action, names = (words[0], words[1:]) if words else ("", ())
    if action not in ACTIONS:
        hint = nearest(action, ACTIONS) or f"; one of {', '.join(ACTIONS)}"
        raise UsageError(f"unknown action {action or '(none)'}{hint}")
    if action == "list":
        rows = _list_datasets()
    else:
        if options.dataset is not None:
            names = (*names, options.dataset)
        if len(names) != 1:
            raise UsageError(f"name one data set, as in: python -m cnnlab.data {action} cifar10")
        dataset_spec(names[0])
        rows = _fetch(names[0], options) if action == "fetch" else _verify(names[0], options)
    if not options.json:
        _print_rows(action, rows)
    for row in rows:
        if row.get("state", "ok") != "ok":
            raise DataError(row["state"])
    return rows


def _print_rows(action: str, rows: list[dict[str, Any]]) -> None:
    if action == "list":
        cells = [[str(value) for value in row.values()] for row in rows]
        print_as_is(render_table(list(rows[0]), cells, left_columns=2))
        return
    # A path is never wrapped, so that it can be copied.
    for row in rows:
        state = row.get("state", "")
        text = f"{row['file']}  {state}".rstrip() if state in ("", "ok") else state
        print_lines(text)


def _list_datasets() -> list[dict[str, Any]]:
    return [
        {
            "dataset": spec.name,
            "image_shape": "x".join(map(str, spec.image_shape)),
            "classes": spec.num_classes,
            "train": spec.num_train,
            "test": spec.num_test,
        }
        for spec in DATASETS.values()
    ]


def _fetch(name: str, options: DataOptions) -> list[dict[str, Any]]:
    files = fetch_dataset(name, options.data_dir, creates_folder=True, overwrite=options.overwrite)
    return [{"file": str(path)} for path in files]


def _verify(name: str, options: DataOptions) -> list[dict[str, Any]]:
    found = verify_dataset(name, options.data_dir)
    if not found and MADE_FROM.get(name, name) not in OFFICIAL_FILES:
        raise DataError(f"{name} has no files to verify: the program draws its images")
    if not found:
        raise DataError(
            f"no files of {name} in {options.data_dir}; fetch them with "
            f"python -m cnnlab.data fetch {name} --data_dir={options.data_dir}"
        )
    return [{"file": str(file), "state": state} for file, state in found]


if __name__ == "__main__":
    main()
