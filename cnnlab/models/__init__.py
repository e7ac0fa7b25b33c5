"""The networks by name: plain functions `(images, num_classes, *, training, **options) ->
logits`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.arguments import check
from cnnlab.errors import UsageError
from cnnlab.models.cifar_cnn import cifar_cnn
from cnnlab.models.mnist import mnist_cnn, mnist_convnet, mnist_perceptron
from cnnlab.models.mnist_mlp import mnist_mlp
from cnnlab.options import nearest

ModelFunction = Callable[..., Any]

MODELS: dict[str, ModelFunction] = {
    "cifar_cnn": cifar_cnn,
    "mnist_cnn": mnist_cnn,
    "mnist_convnet": mnist_convnet,
    "mnist_mlp": mnist_mlp,
    "mnist_perceptron": mnist_perceptron,
}


def find_model(name: str) -> ModelFunction:
    """The network of that name.

    Raises:
        UsageError: no such network; the nearest is named.
    """
    if ":" in name:
        raise UsageError(
            f"the model {name} is a function of a script; use it from there with Train(model=...)"
        )
    if name not in MODELS:
        hint = nearest(name, MODELS) or f"; known: {', '.join(MODELS)}"
        raise UsageError(f"unknown model {name}{hint}")
    return MODELS[name]


def check_model_options(model: ModelFunction, given: dict[str, Any]) -> None:
    """Refuse arguments that the network's function does not take, or of a wrong type or range.

    Raises:
        UsageError: names the argument and those that it does take.
    """
    check(model, given, "--model_options: the model")
