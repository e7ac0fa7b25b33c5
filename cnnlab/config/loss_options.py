"""The options for the length of a run, its batches, the loss and the initial weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.input_options import InputOptions
from cnnlab.config.options import STRICT, option
from cnnlab.config.references import Reference

DEFAULT_STEPS = 20_000  # as in the reference CIFAR-10 program

Loss = Literal[
    "softmax",
    "sparse_softmax",
    "sigmoid",
    "mse",
    "msle",
    "mae",
    "hinge",
    "squared_hinge",
    "kl",
]
Initializer = Literal[
    "zeros",
    "normal",
    "truncated_normal",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_normal",
    "orthogonal",
    "dirac",
]
Activation = Literal[
    "linear",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
    "gelu",
    "swish",
    "softmax",
]

ClassMode = Literal["categorical", "sparse", "binary"]

# The outputs that each loss is defined for; the first is the default.
OUTPUTS = {
    "softmax": ("softmax",),
    "sparse_softmax": ("softmax",),
    "sigmoid": ("sigmoid",),
    "mse": ("softmax", "sigmoid", "linear", "tanh"),
    "mae": ("softmax", "sigmoid", "linear", "tanh"),
    "msle": ("softmax", "sigmoid", "linear"),  # outputs below 0 count as 0
    "hinge": ("linear", "tanh"),
    "squared_hinge": ("linear", "tanh"),
    "kl": ("softmax",),
}
# The same for a network with one output for two classes.
OUTPUTS_OF_ONE_UNIT = {
    "sigmoid": ("sigmoid",),
    "mse": ("sigmoid",),
    "mae": ("sigmoid",),
    "msle": ("sigmoid",),
    "hinge": ("tanh", "linear"),
    "squared_hinge": ("tanh", "linear"),
}
# The losses that each class mode admits, the default first; also a loss of the user's own.
LOSSES_OF: dict[str, tuple[str, ...]] = {
    "categorical": tuple(loss for loss in OUTPUTS if loss != "sparse_softmax"),
    "sparse": ("sparse_softmax",),
    "binary": tuple(OUTPUTS_OF_ONE_UNIT),
}


def outputs_for(loss: str, class_mode: str | None = None) -> tuple[str, ...]:
    """Return the output functions that fit a loss, the default first.

    All of them fit a loss of the user's own.
    """
    if class_mode == "binary":
        return OUTPUTS_OF_ONE_UNIT.get(loss, ("sigmoid", "tanh", "linear"))
    return OUTPUTS.get(loss, ("softmax", "sigmoid", "linear", "tanh"))


def with_loss_of_class_mode(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's options with the loss that the class mode means, unless a loss is given.

    Args:
        values: option name to value, not yet checked.
    """
    losses = LOSSES_OF.get(str(values.get("class_mode")))
    return dict(values) if losses is None or "loss" in values else {**values, "loss": losses[0]}


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class LossOptions(InputOptions):
    """The options for length, batches, loss and initial weights; see `cnnlab.config.config`."""

    batch_size: int = option(
        500, "images per step", unit="images", group="training", everyday=True, ge=1
    )
    micro_batches: int = option(
        1,
        "split each batch into this many parts and add their gradients in a fixed order; a step is "
        "still one update\n"
        "one worker computes one part after the other, in the memory of one; several workers share "
        "the parts, and any number of workers gives the same result",
        unit="micro-batches",
        group="training",
        ge=1,
    )
    steps: int | None = option(
        None,
        "length of the run in steps",
        default_text=f"{DEFAULT_STEPS}, or as epochs says",
        unit="steps",
        group="training",
        everyday=True,
        shapes_result=False,
        ge=1,
        le=10**15,
    )
    epochs: float | None = option(
        None,
        "length of the run in passes over the training set, instead of in steps",
        unit="epochs",
        group="training",
        everyday=True,
        shapes_result=False,
        gt=0,
        le=10**9,
    )
    sampling: Literal["shuffle", "balanced", "oversample", "undersample"] = option(
        "shuffle",
        "which images make up an epoch, in training only\n"
        "shuffle: every image once\n"
        "balanced: as many draws as images, but equally many from each class\n"
        "oversample: from each class as many draws as the largest class has images\n"
        "undersample: from each class as many draws as the smallest class has images",
        group="training",
    )
    seed: int = option(
        1,
        "seed of all randomness: initial weights, batches, augmentation and dropout",
        group="training",
        ge=0,
        lt=2**31,
    )
    allow_stateful_random: bool = option(
        False,
        "accept random ops in your own model that no key seeds, such as tf.nn.dropout; the run is "
        "then not resumed exactly",
        group="training",
    )

    loss: Loss | Reference = option(
        "softmax",
        "loss to minimize\n"
        "softmax: cross-entropy\n"
        "sparse_softmax: the same, but for class indices only, not for mixed or smoothed labels\n"
        "sigmoid: binary cross-entropy of each class, averaged over the classes\n"
        "mse, mae, msle: mean squared, absolute or squared logarithmic error over the classes\n"
        "hinge, squared_hinge: of the outputs and targets of -1 and 1, averaged over the classes\n"
        "kl: Kullback-Leibler divergence\n"
        "FILE.py:NAME: your function (labels, logits) -> float32 [batch]",
        group="loss",
    )
    class_mode: ClassMode | None = option(
        None,
        "form of the labels, in the words of Keras; it chooses the loss, unless that is given\n"
        "categorical: one-hot; one output for each class; the loss softmax\n"
        "sparse: the number of the class; one output for each class; the loss sparse_softmax\n"
        "binary: 0 or 1; two classes, of which the network's one output tells the second; the "
        "loss sigmoid",
        default_text="an output for each class, and labels as the loss needs them",
        group="loss",
    )
    output: Literal["auto", "softmax", "sigmoid", "linear", "tanh"] = option(
        "auto",
        "function that turns logits into outputs; auto: sigmoid for the loss sigmoid, linear for "
        "hinge, squared_hinge and labels that are real values, else softmax; with "
        "class_mode=binary tanh for hinge and squared_hinge, else sigmoid",
        group="loss",
    )
    label_smoothing: float = option(
        0.0,
        "e: targets y become y (1 - e) + e / classes, or y (1 - e) + e / 2 for the loss sigmoid",
        group="loss",
        ge=0,
        lt=1,
    )
    class_weights: Literal["balanced"] | list[float] | dict[str | int, float] | None = option(
        None,
        "factor on the loss of each class\n"
        "balanced: n / (classes x images of the class), for n training images\n"
        "a list: one factor per class, in order\n"
        "a mapping: {class: factor}, with the name or the number of a class; 1 for the others",
        default_text="1 for each",
        group="loss",
    )
    head_weights: dict[str, float] | None = option(
        None,
        "for data with several heads: factor on the loss of each\n"
        "a mapping: {head: factor}; 1 for the others",
        default_text="1 for each",
        group="loss",
    )
    l1: float = option(
        0.0, "add l1 x sum |w| of each kernel to the loss", group="loss", ge=0, allow_inf_nan=False
    )
    l2: float = option(
        0.0, "add l2 x sum w^2 of each kernel to the loss", group="loss", ge=0, allow_inf_nan=False
    )
    kernel_initializer: Initializer | None = option(
        None, "initializer of every kernel", default_text="the network's own", group="weights"
    )
    kernel_stddev: float = option(
        0.01,
        "for the initializers normal and truncated_normal: the standard deviation",
        group="weights",
        gt=0,
    )
    activation: Activation | None = option(
        None,
        "activation of every hidden layer that has one",
        default_text="the network's own",
        group="weights",
    )
