"""The images that a trained run is evaluated on: of its own data set or another, or any at hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.aligned import aligned_empty
from cnnlab.base.errors import DataError, UsageError, nearest
from cnnlab.config.config import Config
from cnnlab.config.options import replace
from cnnlab.data.datasets import Split, check_split
from cnnlab.data.files.formats import check_labels
from cnnlab.data.image_files.image_paths import images_in
from cnnlab.data.image_files.image_reader import read_images
from cnnlab.data.specs import DatasetSpec
from cnnlab.data.training_data import TrainingData
from cnnlab.run.disk.config_file import load_run_data

Arrays = tuple[npt.ArrayLike, npt.ArrayLike]


class EvaluationData(NamedTuple):
    """What to evaluate on.

    spec: the network's image shape and classes.
    split: images and labels.
    name: the data set's, or of a folder its path, or "arrays".
    split_name: test, validation or train; "given" for a folder and for arrays.
    files: the images' paths, where they come from a folder.
    """

    spec: DatasetSpec
    split: Split
    name: str
    split_name: str = "given"
    files: Sequence[str] | None = None


def named_split(config: Config, split_name: str, dataset: str | None) -> EvaluationData:
    """A split of the run's data set, or of another with the same image shape and classes.

    Raises:
        UsageError: the other data set is none, or has another shape or other classes.
        DataError: its files are missing or damaged.
    """
    data = load_run_data(config)
    spec = data.spec
    if dataset is not None:
        config = replace(config, dataset=dataset)
        data = TrainingData(config, None)
    for name in ("image_shape", "class_names"):
        mine, other = getattr(spec, name), getattr(data.spec, name)
        if mine != other:
            raise UsageError(
                f"--dataset={dataset} does not fit the run: its {name.replace('_', ' ')} "
                f"{_in_short(other)}, the run's {_in_short(mine)}"
            )
    return EvaluationData(spec, data.split(split_name), config.dataset, split_name)


def given_arrays(config: Config, arrays: Arrays) -> EvaluationData:
    """Arrays at hand.

    Args:
        config: the run's options.
        arrays: (images, labels) as `dataset_from_arrays` takes them.

    Raises:
        DataError: other types or shapes than the network takes, or labels out of range.
    """
    split = check_split("given", *arrays)
    spec = load_run_data(config).spec
    if split.images.shape[1:] != spec.image_shape:
        raise DataError(
            f"given images are {split.images.shape[1:]}, but the network takes {spec.image_shape}"
        )
    check_labels(split.labels, "given labels", spec.num_classes)
    return EvaluationData(spec, split, "arrays")


def class_folders(config: Config, folder: str) -> EvaluationData:
    """A folder with a subfolder for each class, of its name, with images of any size and mode.

    A / in a class name is _ in the folder's. Not every class need be there.

    Raises:
        UsageError: no such folder, no image in it, or a subfolder that is no class.
        DataError: an image cannot be read.
    """
    spec = load_run_data(config).spec
    labels_by_name = {name.replace("/", "_"): i for i, name in enumerate(spec.class_names)}
    if not Path(folder).is_dir():
        raise UsageError(f"--images={folder}: no such folder")
    labels: list[int] = []
    files: list[str] = []
    for name in sorted(os.listdir(folder)):
        if name.startswith(".") or not Path(folder, name).is_dir():
            continue
        if name not in labels_by_name:
            hint = nearest(name, labels_by_name) or f"; they are {_in_short(spec.class_names)}"
            raise UsageError(
                f"--images={folder}: the subfolder {name} is none of the classes{hint}"
            )
        found = list(images_in(str(Path(folder, name))))
        files += found
        labels += [labels_by_name[name]] * len(found)
    if not files:
        raise UsageError(f"--images={folder}: no image in a subfolder with the name of a class")

    def refuse(error: DataError) -> None:
        raise error

    batches = read_images(files, spec.image_shape, config.smallest_eval_batch_size, refuse)
    images = aligned_empty((len(files), *spec.image_shape), np.uint8)
    filled = 0
    for batch in batches:
        images[filled : filled + len(batch.files)] = batch.images
        filled += len(batch.files)
    split = Split(images, np.array(labels, np.int32))
    return EvaluationData(spec, split, folder, files=files)


def _in_short(values: Sequence[object]) -> str:
    shown = ", ".join(map(str, values[:12]))
    return f"{shown}, ..." if len(values) > 12 else shown
