"""What a report says of one run, gathered from its directory, its data and its network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf, translate_op_errors
from cnnlab.config.config import Config
from cnnlab.config.options import replace
from cnnlab.config.yaml_text import read_yaml_mapping
from cnnlab.data.datasets import Split
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.model_summary import Layer, first_weights, summarize
from cnnlab.models import find_model
from cnnlab.report.gallery import Example, example_at, least_sure, worst_mistakes
from cnnlab.report.saliency import SaliencyMaps, build_saliency, run_saliency
from cnnlab.run.device import choose_device
from cnnlab.run.disk.config_file import CONFIG_FILE, load_config, load_run_data
from cnnlab.run.disk.metrics_file import read_metrics
from cnnlab.run.disk.run_directory import read_result
from cnnlab.run.metrics.per_class import per_class_figures
from cnnlab.run.trained_model import TrainedModel

STUDIED_OF_EACH = 2  # worst mistakes, and least sure images, that are looked into unless chosen


class Wishes(NamedTuple):
    """What is asked of a report, of each run alike; as `cnnlab.report.report` has it."""

    checkpoint: str = "latest"
    split: str = "test"
    images: tuple[int, ...] | None = None
    examples: int = 12
    data_dir: str | None = None


class Studied(NamedTuple):
    """An image that is looked into.

    Attributes:
        example: which, and what the network says of it.
        image: uint8 [height, width, channels], the part that the network sees.
        activations: layer to its output for this image, [height, width, channels] or [units].
        gradient: float32 [height, width].
        grad_cam: float32 [map height, map width]; None without a convolution.
    """

    example: Example
    image: npt.NDArray[np.uint8]
    activations: dict[str, npt.NDArray[np.float32]]
    gradient: npt.NDArray[np.float32]
    grad_cam: npt.NDArray[np.float32] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything that a report says of one run.

    Attributes:
        save_dir: as it was named.
        config: its options.
        versions: of what it was trained with.
        metrics: lines of metrics.jsonl.
        is_finished: whether it made all its steps, or was stopped early by its own rule.
        total_steps: steps it is to make.
        step: of the checkpoint.
        spec: its data set.
        split: "test", "validation" or "train".
        images: place in the split to uint8 [height, width, channels], of mistakes and unsure.
        figures: accuracy, loss, top5_accuracy and n.
        confusion: int64 [num_classes, num_classes]; rows: truth, columns: prediction.
        per_class: see `cnnlab.run.metrics.sums.per_class_figures`.
        layers: of the network.
        mistakes, unsure: images of the split.
        studied: the images that are looked into.
        cam_layer: whose feature maps Grad-CAM weighs; None without a convolution.
        filters: the first layer and its weights, if it sees the image; see `first_weights`.
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
    confusion: npt.NDArray[np.int64]
    per_class: list[dict[str, Any]]
    layers: list[Layer]
    mistakes: list[Example]
    unsure: list[Example]
    studied: list[Studied]
    cam_layer: str | None
    filters: tuple[str, npt.NDArray[np.float32]] | None


def load_facts(save_dir: Path, wishes: Wishes) -> RunFacts:
    """Gather what there is to say of a run, finished or not.

    Raises:
        UsageError: its model is a function of a script, or an image is asked for that there is not.
        CnnlabError: no such run or checkpoint, or a file of it or its data cannot be read.
    """
    config = load_config(save_dir)
    if wishes.data_dir is not None:
        config = replace(config, data_dir=wishes.data_dir)
    find_model(config.model)  # a script's function is refused before the data is read
    data = load_run_data(config)
    split = data.split(wishes.split)
    if not len(split.labels):
        raise CnnlabError(f"{save_dir}: the {wishes.split} split has no images")
    for index in wishes.images or ():
        if not 0 <= index < len(split.labels):
            raise UsageError(
                f"--images: there is no image {index}; the {wishes.split} split of "
                f"{config.dataset} has 0 to {len(split.labels) - 1}"
            )
    versions = read_yaml_mapping(save_dir / CONFIG_FILE).get("versions")
    result = read_result(save_dir)
    checkpoint = wishes.checkpoint
    with TrainedModel(save_dir, config, data.spec, checkpoint, as_written=True) as trained:
        layers = summarize(trained.graph)
        sums = trained.evaluate(split)
        probabilities = trained.predict(split.images)
        mistakes = worst_mistakes(probabilities, split.labels, wishes.examples)
        unsure = least_sure(probabilities, split.labels, wishes.examples)
        chosen = [example_at(i, probabilities, split.labels) for i in wishes.images or ()]
        if wishes.images is None:
            both = [*mistakes[:STUDIED_OF_EACH], *unsure[:STUDIED_OF_EACH]]
            chosen = list(dict.fromkeys(both))
        studied, cam_layer = _study(trained, split, chosen)
        weights = first_weights(trained.graph)
        filters = (weights[0], trained.session.run(weights[1])) if weights else None
    return RunFacts(
        save_dir=save_dir,
        config=config,
        versions=versions if isinstance(versions, dict) else {},
        metrics=read_metrics(save_dir),
        is_finished=result is not None and result.get("finished") is True,
        total_steps=config.total_steps(data.num_train),
        step=trained.step,
        spec=data.spec,
        split=wishes.split,
        # Copies, or the whole split would stay in memory for each run.
        images={e.place: split.images[e.place].copy() for e in (*mistakes, *unsure)},
        figures=sums.result(),
        confusion=sums.confusion,
        per_class=per_class_figures(sums.confusion, data.spec.class_names),
        layers=layers,
        mistakes=mistakes,
        unsure=unsure,
        studied=studied,
        cam_layer=cam_layer,
        filters=_as_pictures(filters, tuple(trained.graph.inputs.shape.as_list()[1:])),
    )


def _study(
    trained: TrainedModel, split: Split, chosen: Sequence[Example]
) -> tuple[list[Studied], str | None]:
    """Look into the chosen images; also gives the layer that Grad-CAM is of."""
    tower, graph = trained.graph, trained.session.graph
    with graph.as_default(), tf.device(choose_device(trained.config)):
        saliency = build_saliency(tower)
    # A layer that only lays its input out anew has nothing else to show.
    shown = {name: out for name, out in tower.activations.items() if out.op.type != "Reshape"}
    images = split.images[[example.place for example in chosen]]
    classes = np.array([example.predicted for example in chosen], np.int64)
    with translate_op_errors("saliency"):
        outputs = trained.session.run(shown, {tower.images_ph: images})
        maps: SaliencyMaps = run_saliency(trained.session, tower, saliency, images, classes)
    height, width = tower.inputs.shape.as_list()[1:3]
    top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
    studied = [
        Studied(
            example,
            images[i, top : top + height, left : left + width],
            {name: output[i] for name, output in outputs.items()},
            maps.gradient[i],
            None if maps.grad_cam is None else maps.grad_cam[i],
        )
        for i, example in enumerate(chosen)
    ]
    return studied, saliency.cam_layer


def _as_pictures(
    filters: tuple[str, npt.NDArray[np.float32]] | None, input_shape: tuple[int, ...]
) -> tuple[str, npt.NDArray[np.float32]] | None:
    """The weights as [height, width, channels, filters], if they can be seen as pictures."""
    if filters is None:
        return None
    name, weights = filters
    if weights.ndim == 2 and weights.shape[0] == np.prod(input_shape):
        weights = weights.reshape(*input_shape, -1)
    return (name, weights) if weights.ndim == 4 and weights.shape[2] in (1, 3) else None
