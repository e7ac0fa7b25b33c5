"""The run of the head alone, on stored features instead of images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.surroundings import building_in
from cnnlab.bottleneck.features import Features
from cnnlab.bottleneck.joined_run import Parting
from cnnlab.config.config import Config
from cnnlab.config.options import as_dict
from cnnlab.data.datasets import Dataset, Split
from cnnlab.data.specs import AS_GIVEN, DatasetSpec
from cnnlab.train import Train

_NAME = "features"
_OF_PICTURES = ("image_size", "group", "heads", "init_from", "init_skip", "init_step", "trainable")
_SHOWING_IMAGES = ("images", "projector")


class HeadRun(Train):
    """A run whose variables start from given values.

    Attributes:
        start: name of a variable to its value.
    """

    start: Mapping[str, npt.NDArray[Any]]

    def _initialize_variables(self, session: Any) -> dict[Any, Any]:
        loaded = super()._initialize_variables(session)
        if self._first_step == 0:
            with building_in(self.graph):
                given = {
                    variable.initial_value: self.start[variable.op.name]
                    for variable in self.train_graph.variables
                }
            session.run(self.train_graph.init_op, given)
        return loaded


def make_head_run(
    config: Config,
    parting: Parting,
    spec: DatasetSpec,
    splits: Mapping[str, Split],
    folder: Path,
    start: Mapping[str, npt.NDArray[Any]],
) -> Train:
    """Return the run that trains a head with the same options, seeds and batches as `config`.

    Args:
        config: of the joined run.
        parting: gives the layers of the head and the names of its variables.
        spec: the facts about the images.
        splits: train, test and perhaps validation, with features [n, 1, features, 1] as images.
        folder: the run directory of the head.
        start: name of each variable of the head to the value from which it starts.
    """
    train, test = splits["train"], splits["test"]
    facts = DatasetSpec(
        _NAME,
        train.images.shape[1:],
        spec.class_names,
        len(train.labels),
        len(test.labels),
        spec.targets,
        AS_GIVEN,
    )
    options = as_dict(config)
    options.update(dict.fromkeys(_OF_PICTURES))
    options.update(
        config=None,
        augment=[],
        scaling="none",
        tta="none",
        init_map={},
        bad_files="error",
        validation_split=0.0,
        verify_data=True,
        label_mode="fine",
        log_dir=None,
        save_dir=str(folder),
        model="feature_head" if parting.head.last is None else "last_layer",
        model_options=parting.head.last
        or {"dense_units": list(parting.head.dense_units), "dropout": parting.head.dropout},
        parameter_groups={
            pattern: settings
            for pattern, settings in config.parameter_groups.items()
            if any(re.search(pattern, name) for name in parting.head_variables)
        },
        tensorboard=[part for part in config.tensorboard if part not in _SHOWING_IMAGES],
    )
    run = HeadRun(data=Dataset(facts, train, test, splits.get("validation")), **options)
    run.start = start
    return run


def as_images(features: Features) -> npt.NDArray[np.float32]:
    """Return features [n, features] in the shape of images, [n, 1, features, 1]."""
    return features[:, None, :, None]
