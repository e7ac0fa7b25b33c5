"""The options that say what is minimized, on how many images, from where."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cnnlab.config.input_options import InputOptions
from cnnlab.config.options import STRICT, option

DEFAULT_STEPS = 20_000  # the reference CIFAR-10 program's length

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

# The outputs that each loss is defined for; the first is used unless another is asked for.
OUTPUTS = {
    "softmax": ("softmax",),
    "sparse_softmax": ("softmax",),
    "sigmoid": ("sigmoid",),
    "mse": ("softmax", "sigmoid", "linear"),
    "mae": ("softmax", "sigmoid", "linear"),
    "msle": ("softmax", "sigmoid"),  # a logarithm of 1 + output
    "hinge": ("linear",),
    "squared_hinge": ("linear",),
    "kl": ("softmax",),
}


def output_of(loss: str) -> str:
    """The output function that goes with a loss unless another is asked for."""
    return OUTPUTS[loss][0]


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class LossOptions(InputOptions):
    """Length, loss, penalties and start of the weights; see `cnnlab.config.config.Config`."""

    batch_size: int = option(500, "images a step", unit="images", group="training", ge=1)
    accumulate_steps: int = option(
        1,
        "micro-batches that a step's batch is cut into, one after the other, their gradients "
        "averaged: memory of batch_size / accumulate_steps images, still one update a step",
        unit="micro-batches",
        group="training",
        ge=1,
    )
    steps: int | None = option(
        None,
        f"length of the run; {DEFAULT_STEPS} unless epochs are given",
        unit="steps",
        group="training",
        shapes_result=False,
        ge=1,
        le=10**15,
    )
    epochs: float | None = option(
        None,
        "length of the run in passes over the training images",
        unit="epochs",
        group="training",
        shapes_result=False,
        gt=0,
        le=10**9,
    )
    seed: int = option(
        1,
        "source of all randomness: weights, batches, augmentation, dropout",
        group="training",
        ge=0,
        lt=2**31,
    )

    loss: Loss = option(
        "softmax",
        "softmax: cross-entropy; sparse_softmax: the same, of class indices only; sigmoid: binary "
        "cross-entropy of each class; mse, msle, mae: of probabilities; hinge, squared_hinge: of "
        "outputs against -1 and 1; kl: divergence; all but softmax and kl are means over classes",
        group="loss",
    )
    output: Literal["auto", "softmax", "sigmoid", "linear"] = option(
        "auto",
        "what turns logits into outputs; auto: sigmoid with loss sigmoid, linear with the hinges, "
        "else softmax",
        group="loss",
    )
    label_smoothing: float = option(
        0.0,
        "e: targets y become y (1 - e) + e / classes (loss sigmoid: + e / 2)",
        group="loss",
        ge=0,
        lt=1,
    )
    class_weights: Literal["balanced"] | list[float] | dict[str, float] | None = option(
        None,
        "factor of each class's loss: balanced (n / (classes x images of the class), from the "
        "training labels), a list in order, or {class name: factor}, others 1",
        group="loss",
    )
    l1: float = option(
        0.0, "penalty l1 x sum |w| of each kernel", group="loss", ge=0, allow_inf_nan=False
    )
    l2: float = option(
        0.0, "penalty l2 x sum w^2 of each kernel", group="loss", ge=0, allow_inf_nan=False
    )
    kernel_initializer: Initializer | None = option(
        None, "start of every kernel, in place of the model's own", group="weights"
    )
    kernel_stddev: float = option(
        0.01, "of the initializers normal and truncated_normal", group="weights", gt=0
    )
    activation: Activation | None = option(
        None, "of every hidden layer that has one, in place of the model's own", group="weights"
    )
