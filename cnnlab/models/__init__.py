"""The networks by name: plain functions `(images, num_classes, *, training, **options) ->
logits`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from cnnlab.errors import UsageError
from cnnlab.models.cifar_cnn import cifar_cnn
from cnnlab.models.mnist import mnist_cnn, mnist_convnet, mnist_perceptron
from cnnlab.options import nearest

ModelFunction = Callable[..., Any]

MODELS: dict[str, ModelFunction] = {
    "cifar_cnn": cifar_cnn,
    "mnist_cnn": mnist_cnn,
    "mnist_convnet": mnist_convnet,
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
    """Refuse arguments that the network's function does not take.

    Raises:
        UsageError: names the argument and those that it does take.
    """
    parameters = inspect.signature(model).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "training"]
    for name in given:
        if name not in known and not takes_any:
            takes = ", ".join(known) or "none"
            raise UsageError(f"--model_options: the model takes no {name}; it takes: {takes}")
