"""Evaluate a trained run: a function, and the command `python -m cnnlab.evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.base.files import translate_os_errors, write_atomically
from cnnlab.config.config import Config
from cnnlab.config.options import STRICT, Options, build, option, replace
from cnnlab.config.training_options import TTA_HELP, Tta
from cnnlab.evaluate import tables
from cnnlab.evaluate.evaluation_data import (
    Arrays,
    EvaluationData,
    class_folders,
    given_arrays,
    named_split,
)
from cnnlab.run.disk.config_file import load_config
from cnnlab.run.metrics.mistakes import most_confused
from cnnlab.run.metrics.per_class import averages, per_class_figures
from cnnlab.run.metrics.scores import (
    Outputs,
    accuracy_interval,
    areas_under_curves,
    expected_calibration_error,
)
from cnnlab.run.metrics.sums import EvaluationSums
from cnnlab.run.trained_model import TrainedModel


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluateOptions(Options):
    """Options of `python -m cnnlab.evaluate`."""

    save_dir: str = option("./save", "run directory to evaluate", group="run", min_length=1)
    checkpoint: str = option("latest", "latest, best or the number of a step", group="run")
    split: Literal["test", "validation", "train"] = option("test", "which images", group="data")
    dataset: str | None = option(
        None, "another data set of the same image shape and classes", group="data"
    )
    data_dir: str | None = option(
        None, "folder of the data files; the run's own unless given", group="data"
    )
    verify_data: bool | None = option(
        None,
        "compare data files with the official checksums; as the run does unless given",
        group="data",
    )
    images: str | None = option(
        None,
        "evaluate on image files instead: a folder with a subfolder for each class, of its name",
        group="data",
    )
    batch_size: int | None = option(
        None, "images a session run; the run's own unless given", unit="images", group="run", ge=1
    )
    tta: Tta | None = option(None, f"{TTA_HELP}; the run's own unless given", group="run")
    top_k: int = option(
        5,
        "top_k_accuracy: the truth is among the k likeliest",
        unit="classes",
        group="output",
        ge=1,
    )
    csv: str | None = option(
        None, "file for the table: a line a class, then the means", group="output", min_length=1
    )
    predictions: str | None = option(
        None,
        "file for the predictions, CSV: a line an image with truth, prediction and probabilities",
        group="output",
        min_length=1,
    )
    device: str | None = option(
        None, "auto, cpu, gpu or gpu:N; the run's own unless given", group="device"
    )


def evaluate(
    save_dir: str | Path = "./save",
    *,
    data: Arrays | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate the weights of a run on every image of a split, or on images given.

    Args:
        save_dir: a run directory.
        data: (images, labels) to evaluate on instead of a split: uint8 [n, height, width,
            channels] and integers [n].
        **options: further options of the command; see `EvaluateOptions`.

    Returns:
        accuracy, loss, top5_accuracy, n, step; top_k and top_k_accuracy; dataset and split;
        confusion_matrix (int, rows: truth, columns: prediction); per_class (see
        `cnnlab.run.metrics.per_class.per_class_figures`, with roc_auc and pr_auc of
        `cnnlab.run.metrics.scores.areas_under_curves`); macro_average and weighted_average of
        these (see
        `cnnlab.run.metrics.per_class.averages`), and roc_auc and pr_auc, their macro means;
        expected_calibration_error, accuracy_interval and most_confused. None where there is no
        such figure.

    Raises:
        UsageError: an option is wrong, or the data set does not fit the run.
        CnnlabError: no such run or checkpoint, or the data cannot be read.
    """
    checked = build(EvaluateOptions, {**options, "save_dir": str(save_dir)})
    named = [name for name in ("images", "dataset") if getattr(checked, name) is not None]
    if len(named) + (data is not None) > 1:
        given = [f"--{name}" for name in named] + ["data"] * (data is not None)
        raise UsageError(f"{' and '.join(given)} each say what to evaluate on; give one of them")
    changes = {
        "data_dir": checked.data_dir,
        "verify_data": checked.verify_data,
        "eval_batch_size": checked.batch_size,
        "tta": checked.tta,
        "device": checked.device,
    }
    config = replace(
        load_config(checked.save_dir),
        **{name: value for name, value in changes.items() if value is not None},
    )
    if data is not None:
        chosen = given_arrays(config, data)
    elif checked.images is not None:
        chosen = class_folders(config, checked.images)
    else:
        chosen = named_split(config, checked.split, checked.dataset)
    for path in (checked.csv, checked.predictions):
        if path is not None:  # a folder that cannot be made is to be known before the work is done
            with translate_os_errors(Path(path)):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
    return _evaluate(checked, config, chosen)


def _evaluate(options: EvaluateOptions, config: Config, data: EvaluationData) -> dict[str, Any]:
    outputs = Outputs(len(data.split.labels), data.spec.num_classes)
    with TrainedModel(options.save_dir, config, data.spec, options.checkpoint) as trained:
        sums = trained.evaluate(data.split, outputs.add)
    figures = {
        **sums.result(),
        "step": trained.step,
        "dataset": data.name,
        "split": data.split_name,
        "top_k": options.top_k,
        "top_k_accuracy": sums.top_k_accuracy(options.top_k),
        **_figures_of(sums, outputs, data),
    }
    if options.csv is not None:
        write_atomically(Path(options.csv), tables.class_csv(figures))
    if options.predictions is not None:
        text = tables.predictions_csv(data, outputs)
        write_atomically(Path(options.predictions), text)
    return figures


def _figures_of(sums: EvaluationSums, outputs: Outputs, data: EvaluationData) -> dict[str, Any]:
    class_names, labels = data.spec.class_names, data.split.labels
    areas = areas_under_curves(outputs.probabilities, labels)
    rows = per_class_figures(sums.confusion, class_names)
    per_class = [{**row, **area} for row, area in zip(rows, areas, strict=True)]
    macro, weighted = averages(per_class, sums.confusion)
    is_correct = outputs.predicted == labels
    return {
        "roc_auc": macro["roc_auc"],
        "pr_auc": macro["pr_auc"],
        "expected_calibration_error": expected_calibration_error(outputs.confidences, is_correct),
        "accuracy_interval": accuracy_interval(int(is_correct.sum()), len(labels)),
        "macro_average": macro,
        "weighted_average": weighted,
        "most_confused": most_confused(sums.confusion, class_names),
        "per_class": per_class,
        "confusion_matrix": sums.confusion.tolist(),
    }
