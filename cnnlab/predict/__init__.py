"""Predict the class of image files: functions, and the command `python -m cnnlab.predict`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import DataError
from cnnlab.base.words import worded
from cnnlab.config.options import STRICT, build, option, replace
from cnnlab.config.own_code_options import OwnCodeOptions
from cnnlab.config.training_options import TTA_HELP, Tta
from cnnlab.data.grey_levels import in_range
from cnnlab.data.image_files.borders import OPPOSITE, inverted, is_opposite
from cnnlab.data.image_files.image_reader import ImageBatch, read_images
from cnnlab.data.image_files.resizing import Resizing
from cnnlab.data.specs import Background
from cnnlab.models import ModelFunction
from cnnlab.run.answers import answers_of
from cnnlab.run.disk.config_file import load_config, load_run_data
from cnnlab.run.metrics.thresholds import thresholds_of
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
    invert: bool = option(
        False,
        "swap light and dark in the images, for dark drawings on white paper where the training "
        "images are light on black",
        group="data",
    )
    top: int = option(
        3, "number of classes to name for each image", unit="classes", group="output", ge=1
    )
    thresholds: float | list[float] | dict[str, float] | None = option(
        None,
        "for several labels an image: from which probability on a label counts as given\n"
        "a number: for all labels\n"
        "a list: one per label, in order\n"
        "a mapping: {label: threshold}; 0.5 for the others",
        default_text="0.5 for each",
        group="output",
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


def warn(text: str) -> None:
    """Warn as Python does; the default of `on_warning`."""
    warnings.warn(worded(text), stacklevel=4)


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
    on_warning: Callable[[str], None] = warn,
    model: str | ModelFunction | None = None,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Yield what `predict` returns, one file after the other, for any number of files.

    Only a few batches are in memory at a time. The next files are read while the network computes.

    Args:
        files: paths of images; `find_images` in cnnlab.data.image_files finds them in folders.
        save_dir: a run directory.
        on_bad: called with the error of each file that cannot be read, which is then skipped.
        on_warning: called with a text at the first image whose background is opposite to that of
            the training images; see `cnnlab.data.image_files.borders`.
        model: your own model, as its function or as FILE.py:NAME; default: the run's own copy.
        **options: checkpoint, top, thresholds, tta, batch_size, data_dir, device and invert, as
            for the command; see `PredictOptions`.

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
    thresholds = thresholds_of(checked.thresholds, spec)
    check_image_shape(checked.save_dir, config, spec, checked.checkpoint, parts)
    paths = map(str, files)
    batch_size, resizing = config.smallest_eval_batch_size, Resizing.of(config)
    batches = read_images(paths, spec.image_shape, batch_size, on_bad, resizing)
    with closing(batches), closing(_seen(batches, spec.background, checked, on_warning)) as seen:
        first = next(seen, None)  # without an image, the weights are not loaded
        if first is None:
            return
        with TrainedModel(checked.save_dir, config, spec, checked.checkpoint, parts) as trained:
            for files, found in _prefetch(trained, chain([first], seen)):
                yield from answers_of(files, found, spec, checked.top, thresholds)


def _seen(
    batches: Iterable[ImageBatch],
    background: Background | None,
    options: PredictOptions,
    on_warning: Callable[[str], None],
) -> Generator[ImageBatch, None, None]:
    """Yield the batches as the network sees them, and warn of the first opposite background."""
    turned, remedy = "", "--invert=True swaps light and dark"
    if options.invert:
        turned, remedy = " after --invert", "leave out --invert"
    for batch in batches:
        if options.invert:
            batch = batch._replace(images=inverted(batch.images))
        if background is not None and (opposite := is_opposite(batch.images, background)).any():
            file, other = batch.files[int(opposite.argmax())], OPPOSITE[background]
            on_warning(
                f"{file} has a {other} background{turned}, but the training images have a "
                f"{background} one; {remedy}"
            )
            background = None  # one warning is enough
        yield batch


def _prefetch(
    trained: TrainedModel, batches: Iterable[ImageBatch]
) -> Iterator[tuple[list[str], Any]]:
    """Yield the files of each batch and what `answers_of` needs.

    The network computes the next batch while the caller uses this one.
    """
    spec = trained.spec
    is_ranked = spec.targets in ("classes", "heads")
    compute = trained.predict_ranked if is_ranked else trained.predict_finite
    with ThreadPoolExecutor(1, thread_name_prefix="predict") as computer:
        waiting: tuple[list[str], Future[Any]] | None = None
        for batch in batches:
            computed = computer.submit(compute, in_range(batch.images, spec.image_range))
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = batch.files, computed
        if waiting is not None:
            yield waiting[0], waiting[1].result()
