"""Predict the class of image files: functions, and the command `python -m cnnlab.predict`."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import DataError, UsageError
from cnnlab.base.files import output_to, translate_os_errors
from cnnlab.base.safe_text import for_csv, for_terminal
from cnnlab.config import cli
from cnnlab.config.options import STRICT, as_dict, build, option, replace
from cnnlab.config.own_code_options import OwnCodeOptions
from cnnlab.config.training_options import TTA_HELP, Tta
from cnnlab.data.grey_levels import in_range
from cnnlab.data.image_files.image_paths import find_images
from cnnlab.data.image_files.image_reader import ImageBatch, read_images
from cnnlab.models import ModelFunction
from cnnlab.run.answers import answers_of, in_columns, in_text
from cnnlab.run.disk.config_file import load_config, load_run_data
from cnnlab.run.own_code import parts_of_run
from cnnlab.run.trained_model import TrainedModel, check_image_shape


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class PredictOptions(OwnCodeOptions):
    """Options of `python -m cnnlab.predict`."""

    save_dir: str = option(
        "./save", "run directory with the weights", group="run", is_path=True, min_length=1
    )
    checkpoint: str = option(
        "latest", "checkpoint to use: latest, best or the number of a step", group="run"
    )
    batch_size: int | None = option(
        None,
        "images per batch",
        default_text="as in the run",
        unit="images",
        group="run",
        ge=1,
    )
    tta: Tta | None = option(None, TTA_HELP, default_text="as in the run", group="run")
    data_dir: str | None = option(
        None,
        "for runs with --verify_data=False: folder of the data files",
        default_text="that of the run",
        group="data",
        is_path=True,
    )
    device: str | None = option(
        None,
        "device to predict on: auto, cpu, gpu or gpu:N",
        default_text="as in the run",
        group="device",
    )
    top: int = option(
        3, "number of classes to name for each image", unit="classes", group="output", ge=1
    )
    format: Literal["text", "json", "jsonl", "csv"] = option(
        "text",
        "format of the predictions\n"
        "text, csv, jsonl: one line per image\n"
        "json: one list, the same as with --json",
        group="output",
    )
    out: str | None = option(
        None,
        "file to write the predictions to; it appears when it is complete",
        default_text="stdout",
        group="output",
        is_path=True,
        min_length=1,
    )


def raise_error(error: DataError) -> None:
    """Raise the error of a file that cannot be read; the default of `on_bad`."""
    raise error


def predict(
    files: Iterable[str | Path], save_dir: str | Path = "./save", **options: Any
) -> list[dict[str, Any]]:
    """Predict the class of image files.

    Args:
        files: paths of images of any size and mode; see `load_image` in cnnlab.data.image_files.
        save_dir: a run directory.
        **options: those of `iter_predictions`.

    Returns:
        for each file: file, class, probability, and top, a list of {class, probability}, the most
        probable class first. `cnnlab.run.answers` has the answers of other labels than classes.

    Raises:
        CnnlabError: the run or the checkpoint does not exist, or a file is not an image.
    """
    return list(iter_predictions(files, save_dir, **options))


def iter_predictions(
    files: Iterable[str | Path],
    save_dir: str | Path = "./save",
    *,
    on_bad: Callable[[DataError], None] = raise_error,
    model: str | ModelFunction | None = None,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Yield what `predict` returns, one file after the other, for any number of files.

    Only a few batches are in memory at a time. The next files are read while the network computes.

    Args:
        files: paths of images; `find_images` in cnnlab.data.image_files finds them in folders.
        save_dir: a run directory.
        on_bad: called with the error of each file that cannot be read, which is then skipped.
        model: your own model, as its function or as FILE.py:NAME; default: the run's own copy.
        **options: checkpoint, top, tta, batch_size, data_dir and device, as for the command; see
            `PredictOptions`.

    Raises:
        UsageError: an option is wrong.
        CnnlabError: the run or the checkpoint does not exist, or on_bad raises one.
    """
    named_model = None if callable(model) else model
    checked = build(PredictOptions, {**options, "save_dir": save_dir, "model": named_model})
    changes = {
        "data_dir": checked.data_dir,
        "eval_batch_size": checked.batch_size,
        "tta": checked.tta,
        "device": checked.device,
    }
    config = replace(
        load_config(checked.save_dir),
        **{name: value for name, value in changes.items() if value is not None},
    )
    parts = parts_of_run(config, model, trust=checked.trust)
    spec = load_run_data(config).spec
    check_image_shape(checked.save_dir, config, spec, checked.checkpoint, parts)
    paths = map(str, files)
    batches = read_images(paths, spec.image_shape, config.smallest_eval_batch_size, on_bad)
    with closing(batches):
        first = next(batches, None)  # without an image, the weights are not loaded
        if first is None:
            return
        with TrainedModel(checked.save_dir, config, spec, checked.checkpoint, parts) as trained:
            for files, found in _prefetch(trained, chain([first], batches)):
                yield from answers_of(files, found, spec, checked.top)


def _prefetch(
    trained: TrainedModel, batches: Iterable[ImageBatch]
) -> Iterator[tuple[list[str], Any]]:
    """Yield the files of each batch and what `answers_of` needs.

    The network computes the next batch while the caller uses this one.
    """
    spec = trained.spec
    compute = trained.predict_ranked if spec.targets == "classes" else trained.predict_finite
    with ThreadPoolExecutor(1, thread_name_prefix="predict") as computer:
        waiting: tuple[list[str], Future[Any]] | None = None
        for batch in batches:
            computed = computer.submit(compute, in_range(batch.images, spec.image_range))
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = batch.files, computed
        if waiting is not None:
            yield waiting[0], waiting[1].result()


Answers = Iterable[Mapping[str, Any]]


def as_text(answers: Answers) -> Iterator[str]:
    """Yield `FILE: CLASS PROBABILITY, ...`, one line per image."""
    for answer in answers:
        yield for_terminal(f"{answer['file']}: {in_text(answer)}") + "\n"


def as_json(answers: Answers) -> Iterator[str]:
    """Yield one JSON list, in pieces."""
    start = "["
    for answer in answers:
        yield start + json.dumps(answer)
        start = ",\n "
    yield "[]\n" if start == "[" else "]\n"


def as_json_lines(answers: Answers) -> Iterator[str]:
    """Yield a JSON object per image, each on one line."""
    for answer in answers:
        yield json.dumps(answer) + "\n"


def as_csv(answers: Answers) -> Iterator[str]:
    """Yield a heading, then one line per image: file, class, probability, class_2, ...

    With several labels an image or real values: file, and a column for each.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, answer in enumerate(answers):
        headings, cells = zip(*in_columns(answer), strict=True)
        if number == 0:
            writer.writerow(map(for_csv, headings))
        writer.writerow(map(for_csv, cells))
        yield text.getvalue()
        text.seek(0)
        text.truncate()


FORMATS: dict[str, Callable[[Answers], Iterator[str]]] = {
    "text": as_text,
    "json": as_json,
    "jsonl": as_json_lines,
    "csv": as_csv,
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.predict`."""
    cli.run(
        _predict_command,
        PredictOptions,
        words,
        usage="python -m cnnlab.predict FILE|FOLDER|PATTERN|-... [--save_dir=DIR] "
        "[--name=value ...]",
        about="Predict the class of image files with the weights of a run. Name files, folders, "
        "quoted patterns\nsuch as 'photos/**/*.png', or - to read paths from stdin. The subfolders "
        "of a folder are included.",
        takes_words=True,
    )


def _predict_command(options: PredictOptions, words: tuple[str, ...]) -> None:
    if not words:
        raise UsageError("name at least one image file: python -m cnnlab.predict FILE...")
    if options.json and options.format not in ("text", "json"):
        raise UsageError(f"--json and --format={options.format} exclude each other; use only one")
    num_good, num_bad, first_bad = 0, 0, ""

    def skip(error: DataError) -> None:
        nonlocal num_bad, first_bad
        first_bad = first_bad or str(error)
        num_bad += 1
        cli.complain(str(error), "skipped")

    def counted(answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        nonlocal num_good
        for answer in answers:
            num_good += 1
            yield answer

    files = find_images(words, sys.stdin.buffer)
    answers = iter_predictions(files, on_bad=skip, **as_dict(options))
    pieces = FORMATS["json" if options.json else options.format](counted(answers))
    if options.out is None:
        for piece in pieces:
            print(piece, end="", flush=True)  # so that a program that reads them need not wait
    else:
        _write(Path(options.out), pieces)
        cli.say(f"{num_good} predictions in {options.out}", options)
    if num_bad:
        count = f"{num_bad} of {num_good + num_bad} files"
        raise cli.Exit(1, error=f"{count} could not be read; the first: {first_bad}")


def _write(path: Path, pieces: Iterable[str]) -> None:
    """Write the file piece by piece. It appears under its name when it is complete."""
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with output_to(path) as file:
        for piece in pieces:
            file.write(piece.encode("utf-8", "backslashreplace"))


if __name__ == "__main__":
    main()
