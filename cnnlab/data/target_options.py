"""Which options fit the kind of labels that a data set has; see `cnnlab.data.array_labels`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnlab.base.errors import DataError, UsageError
from cnnlab.config.config import Config
from cnnlab.config.loss_options import OUTPUTS
from cnnlab.config.options import replace
from cnnlab.data.datasets import Dataset
from cnnlab.data.specs import DatasetSpec

# The losses of each kind, the first the most usual. A loss of the user's own fits every kind.
_LOSSES = {"labels": ("sigmoid",), "values": ("mse", "mae", "msle")}
_ARE = {"labels": "the images have several labels", "values": "the labels are real values"}


def fitted_to_targets(config: Config, data: Dataset | None, given: Mapping[str, Any]) -> Config:
    """Return the options with the defaults that the labels need.

    Real values have no accuracy, so the loss is monitored. Their outputs are linear.

    Args:
        config: a run's options.
        data: the user's own data; None: a data set by name, which has classes.
        given: the options that the user gave.

    Raises:
        UsageError: the user wants to monitor the accuracy of real values.
    """
    if data is None or data.spec.targets != "values":
        return config
    changes = {}
    if config.output == "auto" and "linear" in OUTPUTS.get(config.loss, ("linear",)):
        changes["output"] = "linear"
    if config.monitor == "accuracy":
        if given.get("monitor") is not None:
            raise UsageError(
                "--monitor=accuracy: the labels are real values, which have no accuracy; use "
                "--monitor=loss"
            )
        changes["monitor"] = "loss"
    return replace(config, **changes) if changes else config


def check_target_options(config: Config, spec: DatasetSpec) -> None:
    """Raise UsageError if an option does not fit the kind of labels."""
    if spec.targets == "classes":
        if config.has_one_unit and spec.num_classes != 2:
            raise UsageError(
                f"--class_mode=binary is for two classes, but {spec.name} has {spec.num_classes}: "
                f"{', '.join(spec.class_names[:6])}{', ...' * (spec.num_classes > 6)}; use "
                "--class_mode=categorical"
            )
        return
    if config.class_mode is not None:
        raise UsageError(
            f"--class_mode={config.class_mode} is for one class an image, but "
            f"{_ARE[spec.targets]}; leave it out"
        )
    fitting = _LOSSES[spec.targets]
    if config.loss in OUTPUTS and config.loss not in fitting:
        raise UsageError(
            f"--loss={config.loss} is for one class an image, but {_ARE[spec.targets]}; use "
            f"--loss={' or '.join(fitting)}"
        )
    if config.class_weights is not None:
        raise UsageError(
            f"--class_weights is for one class an image, but {_ARE[spec.targets]}; give each "
            "image a weight instead, as the third array of the training data"
        )
    if config.sampling != "shuffle":
        raise UsageError(
            f"--sampling={config.sampling} is for one class an image, but {_ARE[spec.targets]}; "
            "give each image a weight instead, as the third array of the training data"
        )
    if config.label_smoothing and spec.targets == "values":
        raise UsageError("--label_smoothing is for classes, but the labels are real values")


def check_target_values(config: Config, data: Dataset) -> None:
    """Raise DataError if the loss is not defined for a label."""
    if config.loss != "msle" or data.spec.targets != "values":
        return
    for name in ("train", "validation", "test"):
        split = getattr(data, name)
        if split is not None and split.labels.min() < 0:
            raise DataError(
                f"{name} labels: the smallest is {split.labels.min():g}, but --loss=msle needs "
                "labels >= 0; use --loss=mse"
            )
