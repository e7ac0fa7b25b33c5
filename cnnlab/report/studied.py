"""The images that are studied: their saliency maps, and what each layer makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf, translate_op_errors
from cnnlab.data.augment import evaluation_view
from cnnlab.data.datasets import Split
from cnnlab.data.grey_levels import displayable_levels
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.model_summary import channels_first_layers
from cnnlab.report.examples import Example, caption_of, examples_at
from cnnlab.report.saliency import SaliencyMaps, build_saliency, run_saliency
from cnnlab.run.device import choose_device
from cnnlab.run.metrics.scores import Outputs
from cnnlab.run.trained_model import TrainedModel

_MAX_LABELS = 4  # that a caption names


class Subject(NamedTuple):
    """An image to study.

    Attributes:
        place: its index in the split.
        column: of the logits: the class, label or value that its saliency maps are for.
        name: of this class, label or value.
        caption: what the network says about the image, in lines.
    """

    place: int
    column: int
    name: str
    caption: tuple[str, ...]


class Studied(NamedTuple):
    """An image with its activations and saliency maps.

    Attributes:
        subject: its index, and what the maps are for.
        image: uint8 [height, width, channels], the view of it that the network gets.
        activations: layer to its output for this image, [height, width, channels] or [units].
        gradient: float32 [height, width].
        grad_cam: float32 [map height, map width]; None: the network has no convolution.
    """

    subject: Subject
    image: npt.NDArray[np.uint8]
    activations: dict[str, npt.NDArray[np.float32]]
    gradient: npt.NDArray[np.float32]
    grad_cam: npt.NDArray[np.float32] | None


def subjects_of(examples: Sequence[Example], names: Sequence[str]) -> list[Subject]:
    """Return the images to study, for their predicted classes."""
    return [
        Subject(one.place, one.predicted, names[one.predicted], caption_of(one, names))
        for one in examples
    ]


def subjects_at(
    places: Sequence[int], outputs: Outputs, split: Split, spec: DatasetSpec
) -> list[Subject]:
    """Return the images to study of a run whose labels are no classes.

    With several heads, they are studied for the predicted class of the first head; with several
    labels, for the most probable label; with real values, for the first value.

    Args:
        places: their indices in the split.
        outputs: those of all images of the split, and of the heads.
        split: the images and labels.
        spec: names the heads, labels or values.
    """
    if spec.heads:
        head = spec.heads[0]
        own, truth = outputs.of_each[head.name], split.labels[:, head.columns].argmax(axis=1)
        found = examples_at(places, own.probabilities, own.predicted, truth)
        subjects = []
        for one in subjects_of(found, head.class_names):
            image, said, *others = one.caption
            caption = (image, f"{head.name}: {said}", *others)
            column = head.columns.start + one.column
            subjects.append(one._replace(column=column, caption=caption))
        return subjects
    of_one = _of_labels if spec.targets == "labels" else _of_values
    rows = zip(places, split.labels[list(places)], outputs.probabilities[list(places)], strict=True)
    return [of_one(place, truth, found, spec.class_names) for place, truth, found in rows]


def _of_labels(
    place: int, truth: npt.NDArray[np.float32], found: npt.NDArray[np.float32], names: Sequence[str]
) -> Subject:
    given = [name for name, bit in zip(names, truth, strict=True) if bit]
    shown = ", ".join(given[:_MAX_LABELS]) or "no label"
    more = f" and {len(given) - _MAX_LABELS} more" if len(given) > _MAX_LABELS else ""
    column = int(found.argmax())
    most = f"most probable: {names[column]} ({found[column]:.3f})"
    return Subject(place, column, names[column], (f"image {place}", f"has {shown}{more}", most))


def _of_values(
    place: int, truth: npt.NDArray[np.float32], found: npt.NDArray[np.float32], names: Sequence[str]
) -> Subject:
    said = f"{names[0]}: is {truth[0]:.6g}, predicted {found[0]:.6g}"
    return Subject(place, 0, names[0], (f"image {place}", said))


def meaning_of_maps(spec: DatasetSpec) -> tuple[str, str]:
    """Return what the saliency maps of a run are of, and what they are evidence for, in words."""
    if spec.targets == "values":
        several = f"first value, {spec.class_names[0]}," if len(spec.class_names) > 1 else "value"
        return f"the predicted {several}", "a greater value"
    if spec.targets == "labels":
        return "the score of the most probable label", "the label"
    of_head = f" of the first head, {spec.heads[0].name}," if spec.heads else ""
    return f"the score of the predicted class{of_head}", "the class"


def study(
    trained: TrainedModel, split: Split, subjects: Sequence[Subject]
) -> tuple[list[Studied], str | None]:
    """Compute the maps of the images. Also return the layer that Grad-CAM weighs."""
    inference, graph = trained.graph, trained.session.graph
    with building_in(graph), tf.device(choose_device(trained.config)):
        saliency = build_saliency(inference)
        view = evaluation_view(inference.images_ph, trained.config.augment)
    # A reshape only repeats its input.
    shown = {name: out for name, out in inference.activations.items() if out.op.type != "Reshape"}
    images = split.images[[subject.place for subject in subjects]]
    columns = np.array([subject.column for subject in subjects], np.int64)
    with translate_op_errors("saliency"):
        outputs, views = trained.session.run((shown, view), {inference.images_ph: images})
        maps: SaliencyMaps = run_saliency(trained.session, inference, saliency, images, columns)
    for name in channels_first_layers(inference) & shown.keys():
        outputs[name] = np.moveaxis(outputs[name], 1, -1)
    views = displayable_levels(views, trained.spec.image_range)
    studied = [
        Studied(
            subject,
            views[i],
            {name: output[i] for name, output in outputs.items()},
            maps.gradient[i],
            None if maps.grad_cam is None else maps.grad_cam[i],
        )
        for i, subject in enumerate(subjects)
    ]
    return studied, saliency.cam_layer
