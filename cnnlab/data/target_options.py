"""Which options fit the kind of labels that a data set has; see `cnnlab.data.array_labels`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

from cnnlab.base.errors import DataError, UsageError, nearest
from cnnlab.base.printing import print_lines
from cnnlab.config.config import Config
from cnnlab.config.loss_options import OUTPUTS
from cnnlab.config.options import replace
from cnnlab.config.training_options import TAKEN_FIGURES
from cnnlab.data.datasets import Dataset
from cnnlab.data.example_stream import ExampleStream
from cnnlab.data.folders.value_columns import as_number
from cnnlab.data.specs import DatasetSpec, Targets

ConfigT = TypeVar("ConfigT", bound=Config)
# The losses of each kind, the first the most usual. A loss of the user's own fits every kind.
_LOSSES = {"labels": ("sigmoid",), "values": ("mse", "mae", "msle"), "heads": ("softmax",)}
_ARE = {
    "labels": "the images have several labels",
    "values": "the labels are real values",
    "heads": "the images have a class for each of several heads",
}


def fitted_to_targets(config: ConfigT, targets: Targets, given: Mapping[str, Any]) -> ConfigT:
    """Return the options with the defaults that the labels need.

    Real values have no accuracy, so the loss is monitored. Their outputs are linear.

    Args:
        config: a run's options.
        targets: the kind of labels of the run's data.
        given: the options that the user gave.

    Raises:
        UsageError: the user wants to monitor the accuracy of real values.
    """
    if targets != "values":
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
    if spec.targets == "heads":
        _check_heads(config, spec)
    elif config.head_weights is not None:
        raise UsageError(
            f"--head_weights is for data with a class for each of several heads, but {spec.name} "
            "has none; leave it out"
        )
    if spec.targets == "classes":
        if config.has_one_unit and spec.num_classes != 2:
            raise UsageError(
                f"--class_mode=binary is for two classes, but {spec.name} has {spec.num_classes}: "
                f"{', '.join(spec.class_names[:6])}{', ...' * (spec.num_classes > 6)}; use "
                "--class_mode=categorical"
            )
        _check_no_numbers(config, spec)
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
    if spec.targets == "values" and config.output == "softmax":
        raise UsageError(
            "--output=softmax gives outputs that add up to 1, but the labels are real values; use "
            "--output=linear"
        )
    if config.label_smoothing and spec.targets == "values":
        raise UsageError("--label_smoothing is for classes, but the labels are real values")


def _check_no_numbers(config: Config, spec: DatasetSpec) -> None:
    """Refuse a loss for real values if the classes are numbers; say so if they may number them."""
    numbers = [as_number(name) for name in spec.class_names]
    if config.loss not in _LOSSES["values"] or None in numbers:
        return
    column = "the column value instead of label"
    if odd := [name for name, n in zip(spec.class_names, numbers, strict=True) if n and n % 1]:
        raise UsageError(
            f"--loss={config.loss}: the labels of {spec.name} are numbers, such as {odd[0]}, but "
            f"each different one would be a class; give them in {column}, or in arrays as floats"
        )
    if spec.name.startswith("list:"):
        print_lines(
            f"note: the {spec.num_classes} different numbers in the column label are classes, with "
            f"an output for each; if they are values to predict, give them in {column}",
            to_stderr=True,
        )


def _check_heads(config: Config, spec: DatasetSpec) -> None:
    names = [head.name for head in spec.heads]
    weights = config.head_weights or {}
    for name in weights:
        if name not in names:
            hint = nearest(name, names) or f"; the heads are {', '.join(names[:12])}"
            raise UsageError(f"--head_weights: there is no head {name}{hint}")
    if not any(weights.get(name, 1.0) for name in names):
        raise UsageError("--head_weights: at least one factor must be above 0")
    if config.output not in ("auto", "softmax"):
        raise UsageError(f"--output={config.output}: the output of each head is a softmax")
    for name in names:
        for figure in (f"{name}_accuracy", f"{name}_loss"):
            if figure in TAKEN_FIGURES:
                raise UsageError(
                    f"{spec.name}: the head {name} would have the figure {figure}, which is taken; "
                    "rename it"
                )
            if figure in config.metrics:
                raise UsageError(f"--metrics: {figure} is a figure of a head; choose another name")


def check_values(loss: str, targets: Targets, which: str, labels: Any) -> None:
    """Raise DataError if the loss is not defined for a label.

    Args:
        loss: the option.
        targets: the kind of labels.
        which: the name of the split in errors.
        labels: an array, of real values float32 [n, values].
    """
    if loss == "msle" and targets == "values" and len(labels) and (least := labels.min()) < 0:
        raise DataError(
            f"{which} labels: the smallest is {least:g}, but --loss=msle needs labels >= 0; use "
            "--loss=mse"
        )


def check_values_of(loss: str, data: Dataset) -> None:
    """Check the labels of all splits; those of a stream when they are read. See `check_values`."""
    check = partial(check_values, loss, data.spec.targets)
    for which in ("train", "validation", "test"):
        split = getattr(data, which)
        if split is not None and not isinstance(split.images, ExampleStream):
            check(which, split.labels)
    if isinstance(stream := data.train.images, ExampleStream):
        stream.say()
        stream.check_labels = partial(check, "train")
