"""The facts that a report shows of a run, from its directory, its data and its network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.config.config import Config
from cnnlab.config.options import replace
from cnnlab.config.yaml_text import read_yaml_mapping
from cnnlab.data.arrays import Pair
from cnnlab.data.class_balance import BalanceRow, read_balance
from cnnlab.data.datasets import Split
from cnnlab.data.grey_levels import displayable_levels
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.model_summary import Layer, first_weights, summarize, window_weights
from cnnlab.models import ModelFunction
from cnnlab.report.examples import Example, examples_at, least_sure
from cnnlab.report.studied import Studied, Subject, study, subjects_at, subjects_of
from cnnlab.run.disk.config_file import CONFIG_FILE, load_config, load_run_data
from cnnlab.run.disk.metrics_file import read_metrics
from cnnlab.run.disk.result_file import read_result
from cnnlab.run.metrics.head_sums import HeadSums
from cnnlab.run.metrics.mistakes import worst_mistakes
from cnnlab.run.metrics.per_class import per_class_figures, per_label_figures
from cnnlab.run.metrics.scores import Outputs
from cnnlab.run.metrics.sums import EvaluationSums
from cnnlab.run.metrics.target_sums import LabelSums, Sums
from cnnlab.run.own_code import parts_of_run
from cnnlab.run.trained_model import TrainedModel

MAX_SLICED = 8  # convolutions whose filters are shown by depth
MAX_CHANNELS, MAX_FILTERS = 8, 16  # of each of them
STUDIED_OF_EACH = 2  # of the worst mistakes, and of the least sure images; the default


class Selection(NamedTuple):
    """What to report on, for each run; see `cnnlab.report.report`."""

    checkpoint: str = "latest"
    split: str = "test"
    images: tuple[int, ...] | None = None
    examples: int = 12
    data_dir: str | None = None
    model: str | ModelFunction | None = None
    trust: bool = False
    data: Pair | None = None


class Slices(NamedTuple):
    """The weights of a convolution, or the first of them.

    Attributes:
        layer: its name.
        shape: of all its weights, [height, width, input channels, filters].
        weights: float32, of the first MAX_CHANNELS input channels and MAX_FILTERS filters.
    """

    layer: str
    shape: tuple[int, ...]
    weights: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFacts:
    """All facts that a report shows of one run.

    Attributes:
        save_dir: as the user named it.
        config: the options of the run.
        versions: of the packages that trained it.
        metrics: the lines of metrics.jsonl.
        is_finished: whether it made all its steps, or early stopping ended it.
        total_steps: the number of steps of the whole training.
        step: of the checkpoint.
        spec: the data set.
        split: "test", "validation", "train", or "given".
        images: index in the split to uint8 [height, width, channels], for all images in mistakes
            and least_sure.
        figures: accuracy, loss, top5_accuracy and n; others if the labels are no classes.
        confusion: int64 [num_classes, num_classes]; rows: truth, columns: prediction. None: the
            labels are no classes.
        of_heads: name of a head to the sums of its classes; empty without several heads.
        per_class: of each class or label, see `cnnlab.run.metrics.per_class`; or of each value, see
            `cnnlab.run.metrics.target_sums`.
        layers: of the network.
        balance: of each class the name, the training images, those that an epoch draws, and the
            factor on the loss; empty without class weights and sampling.
        mistakes: the wrongly classified images with the lowest probability for the truth.
        least_sure: the images whose predicted class has the lowest probability.
        studied: the images to show activations and saliency maps of.
        cam_layer: the layer whose feature maps Grad-CAM weighs; None: the network has no
            convolution.
        filters: the first layer's name and its weights, float32 [height, width, channels, filters];
            None: the first layer with weights does not see the image.
        slices: the convolutions from the first to the last, at most MAX_SLICED of them.
    """

    save_dir: Path
    config: Config
    versions: dict[str, Any]
    metrics: list[dict[str, Any]]
    is_finished: bool
    total_steps: int
    step: int
    spec: DatasetSpec
    split: str
    images: dict[int, npt.NDArray[np.uint8]]
    figures: dict[str, Any]
    confusion: npt.NDArray[np.int64] | None
    of_heads: dict[str, EvaluationSums]
    per_class: list[dict[str, Any]]
    balance: list[BalanceRow]
    layers: list[Layer]
    mistakes: list[Example]
    least_sure: list[Example]
    studied: list[Studied]
    cam_layer: str | None
    filters: tuple[str, npt.NDArray[np.float32]] | None
    slices: list[Slices]


def load_facts(save_dir: Path, selection: Selection) -> RunFacts:
    """Gather the facts of a run, finished or not.

    Raises:
        UsageError: the model cannot be loaded, or the split has no such image.
        CnnlabError: there is no such run or checkpoint, or a file cannot be read.
    """
    config = load_config(save_dir)
    if selection.data_dir is not None:
        config = replace(config, data_dir=selection.data_dir)
    needs = ("model", "loss", "metrics")
    parts = parts_of_run(config, selection.model, trust=selection.trust, needs=needs)
    parts = parts.with_channels_last()  # for pictures of maps; the weights are the same
    data = load_run_data(config)
    split_name = selection.split if selection.data is None else "given"
    split = data.chosen(selection.split if selection.data is None else selection.data)
    if not len(split.labels):
        raise CnnlabError(f"{save_dir}: the {split_name} split has no images")
    for index in selection.images or ():
        if not 0 <= index < len(split.labels):
            raise UsageError(
                f"--images: there is no image {index}; the {split_name} split of "
                f"{config.dataset} has 0 to {len(split.labels) - 1}"
            )
    recorded = read_yaml_mapping(save_dir / CONFIG_FILE)
    versions = recorded.get("versions")
    epoch_images, balance = read_balance(recorded.get("balance"))
    result = read_result(save_dir)
    checkpoint = selection.checkpoint
    with TrainedModel(save_dir, config, data.spec, checkpoint, parts, as_written=True) as trained:
        layers = summarize(trained.graph)
        outputs = Outputs(len(split.labels), data.spec.num_classes, data.spec.heads)
        sums = trained.evaluate(split, outputs.add)
        mistakes, unsure, subjects = _examples(selection, outputs, split, data.spec)
        studied, cam_layer = study(trained, split, subjects)
        weights = first_weights(trained.graph)
        filters = (weights[0], trained.session.run(weights[1])) if weights else None
        slices = _slices(trained)
    return RunFacts(
        save_dir=save_dir,
        config=config,
        versions=versions if isinstance(versions, dict) else {},
        metrics=list(read_metrics(save_dir)),
        is_finished=result is not None and result.get("finished") is True,
        total_steps=config.total_steps(epoch_images or data.num_train),
        step=trained.step,
        spec=data.spec,
        split=split_name,
        # Copies: a view would keep the whole split in memory, for each run.
        images={
            e.place: displayable_levels(split.images[e.place].copy(), data.spec.image_range)
            for e in (*mistakes, *unsure)
        },
        figures=sums.result(),
        confusion=sums.confusion if isinstance(sums, EvaluationSums) else None,
        of_heads=sums.of_each if isinstance(sums, HeadSums) else {},
        per_class=_rows_of(sums, data.spec.class_names),
        balance=balance,
        layers=layers,
        mistakes=mistakes,
        least_sure=unsure,
        studied=studied,
        cam_layer=cam_layer,
        filters=_as_pictures(filters, tuple(trained.graph.inputs.shape.as_list()[1:])),
        slices=slices,
    )


def _slices(trained: TrainedModel) -> list[Slices]:
    """Return the weights of the convolutions, or of some at even distances, first and last too."""
    found = window_weights(trained.graph)
    if len(found) > MAX_SLICED:
        places = np.linspace(0, len(found) - 1, MAX_SLICED).round().astype(int)
        found = [found[place] for place in places]
    values = trained.session.run([weights for _, weights in found])
    return [
        Slices(name, array.shape, array[:, :, :MAX_CHANNELS, :MAX_FILTERS].copy())
        for (name, _), array in zip(found, values, strict=True)
    ]


def _examples(
    selection: Selection, outputs: Outputs, split: Split, spec: DatasetSpec
) -> tuple[list[Example], list[Example], list[Subject]]:
    """Return the worst mistakes, the least sure images, and those to study.

    If the labels are no classes, there are only those to study that the user names.
    """
    if split.labels.ndim > 1:
        return [], [], subjects_at(selection.images or (), outputs, split, spec)
    answers = (outputs.probabilities, outputs.predicted, split.labels)
    mistakes = examples_at(worst_mistakes(*answers, selection.examples), *answers)
    unsure = examples_at(least_sure(outputs.probabilities, selection.examples), *answers)
    chosen = list(dict.fromkeys([*mistakes[:STUDIED_OF_EACH], *unsure[:STUDIED_OF_EACH]]))
    if selection.images is not None:
        chosen = examples_at(selection.images, *answers)
    return mistakes, unsure, subjects_of(chosen, spec.class_names)


def _rows_of(sums: Sums, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the figures of each class, label or value; none of several heads."""
    if isinstance(sums, HeadSums):
        return []
    if isinstance(sums, EvaluationSums):
        return per_class_figures(sums.confusion, tuple(names))
    if isinstance(sums, LabelSums):
        return per_label_figures(sums.counts, names)
    return [{"name": name, **row} for name, row in zip(names, sums.of_each(), strict=True)]


def _as_pictures(
    filters: tuple[str, npt.NDArray[np.float32]] | None, input_shape: tuple[int, ...]
) -> tuple[str, npt.NDArray[np.float32]] | None:
    """Return the weights as [height, width, channels, filters]; None: they are no pictures."""
    if filters is None:
        return None
    name, weights = filters
    if weights.ndim == 2 and weights.shape[0] == np.prod(input_shape):
        weights = weights.reshape(*input_shape, -1)
    return (name, weights) if weights.ndim == 4 and weights.shape[2] in (1, 3) else None
