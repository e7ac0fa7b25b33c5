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

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import DataError, UsageError
from cnnlab.base.files import replacing, translate_os_errors
from cnnlab.config import cli
from cnnlab.config.options import STRICT, Options, option, replace
from cnnlab.config.training_options import TTA_HELP, Tta
from cnnlab.data.image_files.image_paths import find_images
from cnnlab.data.image_files.image_reader import ImageBatch, read_images
from cnnlab.run.disk.config_file import load_config, load_run_data
from cnnlab.run.trained_model import TrainedModel


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class PredictOptions(Options):
    """Options of `python -m cnnlab.predict`."""

    save_dir: str = option("./save", "run directory with the weights", group="run", min_length=1)
    checkpoint: str = option("latest", "latest, best or the number of a step", group="run")
    batch_size: int | None = option(
        None, "images a session run; the run's own unless given", unit="images", group="run", ge=1
    )
    tta: Tta | None = option(None, f"{TTA_HELP}; the run's own unless given", group="run")
    data_dir: str | None = option(
        None,
        "of runs with --verify_data=False: folder of the data files; the run's own unless given",
        group="data",
    )
    device: str | None = option(
        None, "auto, cpu, gpu or gpu:N; the run's own unless given", group="device"
    )
    top: int = option(3, "classes to name for each image", unit="classes", group="output", ge=1)
    format: Literal["text", "json", "jsonl", "csv"] = option(
        "text",
        "text, csv or jsonl: a line an image; json: one list, as --json prints it",
        group="output",
    )
    out: str | None = option(
        None, "file to write instead of stdout, once all is done", group="output", min_length=1
    )


def raise_error(error: DataError) -> None:
    """What becomes of a file that cannot be read, unless one says otherwise."""
    raise error


def predict(
    files: Iterable[str | Path], save_dir: str | Path = "./save", **options: Any
) -> list[dict[str, Any]]:
    """Predict the class of image files.

    Args:
        files: paths of images of any size and mode; see
        `cnnlab.data.image_files.images.load_image`.
        save_dir: a run directory.
        **options: as of `iter_predictions`.

    Returns:
        for each file: file, class, probability, and top, a list of {class, probability} in
        descending order.

    Raises:
        CnnlabError: no such run or checkpoint, or a file that is no image.
    """
    return list(iter_predictions(files, save_dir, **options))


def iter_predictions(
    files: Iterable[str | Path],
    save_dir: str | Path = "./save",
    *,
    checkpoint: str = "latest",
    top: int = 3,
    tta: str | None = None,
    batch_size: int | None = None,
    data_dir: str | None = None,
    device: str | None = None,
    on_bad: Callable[[DataError], None] = raise_error,
) -> Iterator[dict[str, Any]]:
    """As `predict`, one after the other, for any number of files: no more than some batches of them
    are held at a time, and the next ones are read while the network computes.

    Args:
        files: paths of images; `cnnlab.data.image_files.image_paths.find_images` finds them in
        folders.
        save_dir: a run directory.
        checkpoint: "latest", "best" or the number of a step.
        top: how many classes to name for each.
        tta: test-time augmentation, "none", "mirror" or "mirror_shift", if not as the run has it.
        batch_size: images a session run, if not as the run has it.
        data_dir: where the data files are, if the run's own (verify_data=False) are not where it
            had them; without such, predicting needs no data.
        device: "auto", "cpu", "gpu" or "gpu:N", if not as the run has it.
        on_bad: called with the error of each file that cannot be read; if it returns, the file is
            left out.

    Raises:
        CnnlabError: no such run or checkpoint, or what on_bad raises.
    """
    given = {"tta": tta, "eval_batch_size": batch_size, "data_dir": data_dir, "device": device}
    changes = {name: value for name, value in given.items() if value is not None}
    config = replace(load_config(save_dir), **changes)
    spec = load_run_data(config).spec
    paths = map(str, files)
    batches = read_images(paths, spec.image_shape, config.smallest_eval_batch_size, on_bad)
    with closing(batches):
        first = next(batches, None)  # before TensorFlow is loaded: there may be no image at all
        if first is None:
            return
        with TrainedModel(save_dir, config, spec, checkpoint) as trained:
            for files, probabilities in _computed_ahead(trained, chain([first], batches)):
                yield from _answers(files, probabilities, spec.class_names, top)


def _computed_ahead(
    trained: TrainedModel, batches: Iterable[ImageBatch]
) -> Iterator[tuple[list[str], npt.NDArray[np.float32]]]:
    """The files of each batch and their probabilities [n, num_classes]; the network computes the
    next batch while the caller is busy with this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="predict") as computer:
        waiting: tuple[list[str], Future[npt.NDArray[np.float32]]] | None = None
        for batch in batches:
            computed = computer.submit(trained.predict, batch.images)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = batch.files, computed
        if waiting is not None:
            yield waiting[0], waiting[1].result()


def _answers(
    files: Sequence[str],
    probabilities: npt.NDArray[np.float32],
    class_names: Sequence[str],
    top: int,
) -> Iterator[dict[str, Any]]:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]  # [n, top]
    values = np.take_along_axis(probabilities, best, axis=1)
    for file, indices, shares in zip(files, best.tolist(), values.tolist(), strict=True):
        named = [
            {"class": class_names[index], "probability": share}
            for index, share in zip(indices, shares, strict=True)
        ]
        yield {"file": file, **named[0], "top": named}


Answers = Iterable[Mapping[str, Any]]


def as_text(answers: Answers) -> Iterator[str]:
    """`FILE: CLASS PROBABILITY, ...`, a line an image."""
    for answer in answers:
        classes = ", ".join(f"{c['class']} {c['probability']:.3f}" for c in answer["top"])
        yield f"{answer['file']}: {classes}\n"


def as_json(answers: Answers) -> Iterator[str]:
    """One JSON list."""
    start = "["
    for answer in answers:
        yield start + json.dumps(answer)
        start = ",\n "
    yield "[]\n" if start == "[" else "]\n"


def as_json_lines(answers: Answers) -> Iterator[str]:
    """A JSON object a line, an image each."""
    for answer in answers:
        yield json.dumps(answer) + "\n"


def as_csv(answers: Answers) -> Iterator[str]:
    """A line an image: file, class, probability, then class_2, probability_2 and so on."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, answer in enumerate(answers):
        if number == 0:
            places = range(2, len(answer["top"]) + 1)
            further = [f"{name}_{place}" for place in places for name in ("class", "probability")]
            writer.writerow(["file", "class", "probability", *further])
        named = [value for c in answer["top"] for value in (c["class"], c["probability"])]
        writer.writerow([answer["file"], *named])
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
    """The command `python -m cnnlab.predict`."""
    cli.run(
        _predict_command,
        PredictOptions,
        words,
        usage="python -m cnnlab.predict FILE|FOLDER|PATTERN|-... [--save_dir=DIR] "
        "[--name=value ...]",
        about="Predict the class of image files with the weights of a run: files, all images in a "
        "folder and\nits subfolders, a quoted pattern such as 'photos/**/*.png', or - for a list "
        "of paths on stdin.",
        takes_words=True,
    )


def _predict_command(options: PredictOptions, words: tuple[str, ...]) -> None:
    if not words:
        raise UsageError("name at least one image file: python -m cnnlab.predict FILE...")
    if options.json and options.format not in ("text", "json"):
        raise UsageError(f"--json is --format=json; leave it out for --format={options.format}")
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

    answers = iter_predictions(
        find_images(words, sys.stdin.buffer),
        options.save_dir,
        checkpoint=options.checkpoint,
        top=options.top,
        tta=options.tta,
        batch_size=options.batch_size,
        data_dir=options.data_dir,
        device=options.device,
        on_bad=skip,
    )
    pieces = FORMATS["json" if options.json else options.format](counted(answers))
    if options.out is None:
        for piece in pieces:
            print(piece, end="", flush=True)  # a reader at the other end waits for it
    else:
        _write(Path(options.out), pieces)
        cli.say(f"{num_good} predictions in {options.out}", options)
    if num_bad:
        count = f"{num_bad} of {num_good + num_bad} files"
        raise cli.Exit(1, error=f"{count} could not be read; the first: {first_bad}")


def _write(path: Path, pieces: Iterable[str]) -> None:
    """Write the file piece by piece; it is there when it is complete."""
    with translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        for piece in pieces:
            file.write(piece.encode("utf-8", "backslashreplace"))


if __name__ == "__main__":
    main()
