"""Evaluate a trained run: a function, and the command `python -m cnnlab.evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.base.errors import UsageError
from cnnlab.base.files import translate_os_errors, write_output
from cnnlab.config.config import Config
from cnnlab.config.loss_options import Loss
from cnnlab.config.options import STRICT, as_dict, build, option, replace
from cnnlab.config.own_code_options import OwnCodeOptions
from cnnlab.config.references import Reference
from cnnlab.config.training_options import TTA_HELP, Tta
from cnnlab.data.arrays import Pair
from cnnlab.evaluate import tables
from cnnlab.evaluate.evaluation_data import (
    EvaluationData,
    class_folders,
    given_arrays,
    named_split,
)
from cnnlab.evaluate.evaluation_figures import figures_of
from cnnlab.graph.parts import Parts
from cnnlab.models import ModelFunction
from cnnlab.run.cluster.place import place_of
from cnnlab.run.cluster.shared_evaluation import evaluation_shared, facts_of_evaluation
from cnnlab.run.disk.config_file import load_config, load_run_data
from cnnlab.run.metrics.scores import Outputs
from cnnlab.run.metrics.target_sums import LabelSums
from cnnlab.run.metrics.thresholds import HALF, best_thresholds, thresholds_of
from cnnlab.run.own_code import parts_of_run, with_own
from cnnlab.run.trained_model import TrainedModel, check_image_shape


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluateOptions(OwnCodeOptions):
    """Options of `python -m cnnlab.evaluate`."""

    save_dir: str = option(
        "./save", "run directory to evaluate", group="run", is_path=True, min_length=1
    )
    checkpoint: str = option(
        "latest", "checkpoint to evaluate: latest, best or the number of a step", group="run"
    )
    split: Literal["test", "validation", "train"] = option(
        "test", "split of the data set to evaluate on", group="data"
    )
    dataset: str | None = option(
        None,
        "evaluate on another data set, which must have the same image shape and classes",
        default_text="that of the run",
        group="data",
    )
    data_dir: str | None = option(
        None, "folder of the data files", default_text="that of the run", group="data", is_path=True
    )
    verify_data: bool | None = option(
        None,
        "compare the data files with the official checksums",
        default_text="as in the run",
        group="data",
    )
    images: str | None = option(
        None,
        "evaluate on image files instead: a folder with one subfolder per class, named like the "
        "class",
        group="data",
        is_path=True,
    )
    batch_size: int | None = option(
        None,
        "images per evaluation batch",
        default_text="as in the run",
        unit="images",
        group="run",
        ge=1,
    )
    tta: Tta | None = option(None, TTA_HELP, default_text="as in the run", group="run")
    top_k: int = option(
        5,
        "the k of top_k_accuracy: how often the true class is among the k most probable",
        unit="classes",
        group="output",
        ge=1,
    )
    thresholds: Literal["validation"] | float | list[float] | dict[str, float] | None = option(
        None,
        "for several labels an image: from which probability on a label counts as given\n"
        "a number: for all labels\n"
        "a list: one per label, in order\n"
        "a mapping: {label: threshold}; 0.5 for the others\n"
        "validation: for each label, the one with the highest F1 on the validation images",
        default_text="0.5 for each",
        group="output",
    )
    csv: str | None = option(
        None,
        "CSV file to write the figures to: a line per class, then the means",
        group="output",
        is_path=True,
        min_length=1,
    )
    predictions: str | None = option(
        None,
        "CSV file to write the predictions to: a line per image with the true class, the "
        "prediction and their probabilities",
        group="output",
        is_path=True,
        min_length=1,
    )
    loss: Loss | Reference | None = option(
        None, "loss of the figure loss", default_text="that of the run", group="run"
    )
    metrics: dict[str, Reference] | None = option(
        None,
        "your own metrics, as in {top3: FILE.py:NAME}; see the command train",
        default_text="those of the run",
        group="run",
    )
    device: str | None = option(
        None,
        "device to evaluate on: auto, cpu, gpu or gpu:N",
        default_text="as in the run",
        group="device",
    )


def evaluate(
    save_dir: str | Path = "./save",
    *,
    data: Pair | None = None,
    model: str | ModelFunction | None = None,
    loss: Any = None,
    metrics: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate the weights of a run on every image of a split, or on other images.

    Args:
        save_dir: a run directory.
        data: (images, labels) to evaluate on instead of a split, in the forms that
            `dataset_from_arrays` takes; labels may be names of classes.
        model: your own model, as its function or as FILE.py:NAME; default: the run's own copy.
        loss: the loss of the figure loss, as for `Train`; default: the run's.
        metrics: name to your own metric, as for `Train`; default: the run's.
        **options: the other options of the command; see `EvaluateOptions`.

    Returns:
        A mapping with these keys. A figure is None if the images do not define it.

        - accuracy, loss, top5_accuracy, n (the number of images) and step (of the checkpoint)
        - your own metrics, by their names
        - top_k and top_k_accuracy
        - dataset and split
        - confusion_matrix: int [num_classes, num_classes]; rows: truth, columns: prediction
        - per_class: the figures of `cnnlab.run.metrics.per_class.per_class_figures`, with roc_auc
          and pr_auc of `cnnlab.run.metrics.scores.areas_under_curves`
        - macro_average and weighted_average: their means; see
          `cnnlab.run.metrics.per_class.averages`
        - roc_auc and pr_auc: those of macro_average
        - expected_calibration_error and accuracy_interval: see `cnnlab.run.metrics.scores`
        - most_confused: see `cnnlab.run.metrics.mistakes.most_confused`

        With several labels an image, there is no confusion matrix and what follows from it or from
        the rank of a class. per_class is per_label: each label on its own, predicted if its
        probability is at least its threshold. thresholds has these, by label. micro_average has
        the figures of all decisions together. accuracy is the fraction of right labels; exact_match
        is the fraction of images whose labels are all right.

        With several heads: heads has for each head all of the above that one class an image has.
        Its loss is the cross-entropy without the head's weight. accuracy is the mean over the
        heads; exact_match is the fraction of images for which all heads are right.

        With real values: mse, mae, r2, loss, n, step, dataset, split, and per_value, the figures of
        each. See `cnnlab.run.metrics.target_sums`.

    Raises:
        UsageError: an option is wrong, or the data set does not fit the run.
        CnnlabError: the run or the checkpoint does not exist, or the data cannot be read.
    """
    return _evaluate(*_prepare(save_dir, data, model, loss, metrics, **options))


def evaluate_with_workers(options: EvaluateOptions) -> dict[str, Any]:
    """Return what `evaluate` does; the workers that TF_CONFIG names share the images.

    Only worker 0 writes files. Workers that differ, or are lost, are reported as in training.
    """
    given = as_dict(options)
    if not place_of().is_chief:
        given |= {"csv": None, "predictions": None}
    return _evaluate(*_prepare(**given), is_shared=True)


def _prepare(
    save_dir: str | Path,
    data: Pair | None = None,
    model: str | ModelFunction | None = None,
    loss: Any = None,
    metrics: Mapping[str, Any] | None = None,
    **options: Any,
) -> tuple[EvaluateOptions, Config, Parts, EvaluationData]:
    """Check the arguments of `evaluate`, and return what they choose."""
    named_model = None if callable(model) else model
    checked = build(EvaluateOptions, {**options, "save_dir": str(save_dir), "model": named_model})
    named = [name for name in ("images", "dataset") if getattr(checked, name) is not None]
    if len(named) + (data is not None) > 1:
        given = [f"--{name}" for name in named] + ["data"] * (data is not None)
        raise UsageError(f"{' and '.join(given)} exclude each other; use only one of them")
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
    own = {name: v for name, v in (("loss", loss), ("metrics", metrics)) if v is not None}
    config, others = with_own(config, own)
    needs = ("model", "loss", "metrics")
    parts = parts_of_run(config, model, trust=checked.trust, needs=needs, others=others)
    if data is not None:
        chosen = given_arrays(config, data)
    elif checked.images is not None:
        spec = load_run_data(config).spec
        check_image_shape(checked.save_dir, config, spec, checked.checkpoint, parts)
        chosen = class_folders(config, checked.images)
    else:
        chosen = named_split(config, checked.split, checked.dataset)
    for path in (checked.csv, checked.predictions):
        if path is not None:  # first, because an evaluation may take minutes
            with translate_os_errors(Path(path)):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
    return checked, config, parts, chosen


def _evaluate(
    options: EvaluateOptions,
    config: Config,
    parts: Parts,
    data: EvaluationData,
    *,
    is_shared: bool = False,
) -> dict[str, Any]:
    outputs = Outputs(len(data.split.labels), data.spec.num_classes, data.spec.heads)
    with TrainedModel(options.save_dir, config, data.spec, options.checkpoint, parts) as trained:
        shared = evaluation_shared(
            config, lambda: facts_of_evaluation([config, options], data.split, trained.session)
        )
        thresholds = _thresholds(options, config, trained)
        with shared if is_shared else nullcontext() as complete:
            sums = trained.evaluate(data.split, outputs.add, complete)
    if thresholds is not None and isinstance(sums, LabelSums):
        sums = sums.with_thresholds(outputs.probabilities, data.split.labels, thresholds)
    figures = {
        **sums.result(),
        "step": trained.step,
        "dataset": data.name,
        "split": data.split_name,
        **figures_of(sums, outputs, data, options.top_k, thresholds),
    }
    if options.csv is not None:
        write_output(Path(options.csv), tables.class_csv(figures))
    if options.predictions is not None:
        text = tables.predictions_csv(data, outputs)
        write_output(Path(options.predictions), text)
    return figures


def _thresholds(
    options: EvaluateOptions, config: Config, trained: TrainedModel
) -> npt.NDArray[np.float64] | None:
    """Return the thresholds of the labels, float64 [labels]; None: those by default.

    Raises:
        UsageError: they do not fit the run, or there are no validation images.
    """
    if options.thresholds != "validation":
        return thresholds_of(options.thresholds, trained.spec)
    thresholds_of(HALF, trained.spec)  # checks that there are labels
    data = load_run_data(config)
    held_out = data.split("validation")
    if held_out.images is data.split("test").images:
        raise UsageError(
            "--thresholds=validation needs a validation set, or it would choose them on the test "
            "set; train with --validation_split=0.1"
        )
    return best_thresholds(trained.predict(held_out.images), held_out.labels)
