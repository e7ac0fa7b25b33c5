"""The images to evaluate a run on: a split of a data set, arrays, or folders of image files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError, UsageError, nearest
from cnnlab.config.config import Config
from cnnlab.config.input_options import is_pictures
from cnnlab.config.options import replace
from cnnlab.data.arrays import Pair, check_fitting
from cnnlab.data.datasets import Split
from cnnlab.data.grey_levels import in_range
from cnnlab.data.image_files.image_paths import images_in
from cnnlab.data.image_files.image_reader import read_images
from cnnlab.data.image_files.resizing import Resizing
from cnnlab.data.row_images import RowImages
from cnnlab.data.specs import DatasetSpec
from cnnlab.data.target_options import check_target_options, check_values
from cnnlab.data.training_data import TrainingData
from cnnlab.run.disk.config_file import load_run_data


class EvaluationData(NamedTuple):
    """The images to evaluate on, and where they come from.

    Attributes:
        spec: image shape and classes of the network.
        split: images and labels.
        name: the name of the data set, the path of the folder, or "arrays".
        split_name: test, validation or train; "given" for a folder and for arrays.
        files: the path of each image, if they are image files; else None.
    """

    spec: DatasetSpec
    split: Split
    name: str
    split_name: str = "given"
    files: Sequence[str] | None = None


def named_split(config: Config, split_name: str, dataset: str | None) -> EvaluationData:
    """Load a split of a data set.

    Args:
        config: the run's options.
        split_name: test, validation or train.
        dataset: another data set with the same image shape and classes; None: that of the run.

    Raises:
        UsageError: the other data set is unknown, or its image shape or classes differ; or the
            loss does not fit several heads, or real values.
        DataError: the data files are missing or damaged.
    """
    data = load_run_data(config)
    spec = data.spec
    _check_loss(config, spec)
    if dataset is not None:
        changes: dict[str, Any] = {"dataset": dataset}
        if is_pictures(dataset):
            changes |= {"image_size": spec.image_shape[:2], "validation_split": 0}
        config = replace(config, **changes)
        data = TrainingData(config, None)
    for name in ("image_shape", "class_names", "targets", "image_range"):
        mine, other = getattr(spec, name), getattr(data.spec, name)
        if mine != other:
            raise UsageError(
                f"--dataset={dataset} does not fit the run: {name.replace('_', ' ')} of the data "
                f"set: {_in_short(other)}; of the run: {_in_short(mine)}"
            )
    split, files = data.split(split_name), data.files_of(split_name)
    check_values(config.loss, spec.targets, split_name, split.labels)
    return EvaluationData(spec, split, config.dataset, split_name, files)


def given_arrays(config: Config, arrays: Pair) -> EvaluationData:
    """Check arrays and return them as data to evaluate on.

    Args:
        config: the run's options.
        arrays: (images, labels), in the form that `dataset_from_arrays` accepts.

    Raises:
        UsageError: the loss does not fit several heads, or real values.
        DataError: dtype or shape do not fit the network, or a label is out of range.
    """
    spec = load_run_data(config).spec
    _check_loss(config, spec)
    split = check_fitting("given", arrays, spec)
    check_values(config.loss, spec.targets, "given", split.labels)
    return EvaluationData(spec, split, "arrays")


def _check_loss(config: Config, spec: DatasetSpec) -> None:
    """Refuse a loss of the command's that heads or real values do not have."""
    if spec.targets in ("heads", "values"):
        check_target_options(config, spec)


def class_folders(config: Config, folder: str) -> EvaluationData:
    """Find the images in a folder that has one subfolder per class, named like the class.

    They are read when they are evaluated, and may have any size and mode. A subfolder has _ where
    the class name has /. Classes may be absent.

    Raises:
        UsageError: the folder does not exist or has no image, or a subfolder is not named like a
            class.
    """
    spec = load_run_data(config).spec
    if spec.targets != "classes":
        what = "a class for each of several heads" if spec.heads else "no class"
        raise UsageError(
            f"--images={folder} has a folder for each class, but the run's images have {what}; "
            "evaluate it in Python with evaluate(save_dir, data=(images, labels))"
        )
    labels_by_name = {name.replace("/", "_"): i for i, name in enumerate(spec.class_names)}
    if not Path(folder).is_dir():
        raise UsageError(f"--images={folder}: no such folder")
    labels: list[int] = []
    files: list[str] = []
    for name in sorted(os.listdir(folder)):
        if name.startswith(".") or not Path(folder, name).is_dir():
            continue
        if name not in labels_by_name:
            hint = nearest(name, labels_by_name) or f"; known: {_in_short(spec.class_names)}"
            raise UsageError(
                f"--images={folder}: the subfolder {name} is not named like a class{hint}"
            )
        found = list(images_in(str(Path(folder, name))))
        files += found
        labels += [labels_by_name[name]] * len(found)
    if not files:
        raise UsageError(f"--images={folder}: no image in a subfolder named like a class")

    def refuse(error: DataError) -> None:
        raise error

    resizing = Resizing.of(config)

    def read(rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        paths = [files[row] for row in rows]
        (batch,) = read_images(paths, spec.image_shape, len(rows), refuse, resizing)
        return np.asarray(in_range(batch.images, spec.image_range))

    kind = np.uint8 if spec.image_range is None else np.float32
    split = Split(
        RowImages(read, np.arange(len(files)), spec.image_shape, kind), np.array(labels, np.int32)
    )
    return EvaluationData(spec, split, folder, files=files)


def _in_short(values: object) -> str:
    if not isinstance(values, (tuple, list)):
        return str(values)
    shown = ", ".join(map(str, values[:12]))
    return f"{shown}, ..." if len(values) > 12 else shown
