"""The models by name.

A model is a plain function `(images, num_classes, *, training, **options) -> logits`.
`cifar_cnn.py` shows how one is written. `--model` selects a model by its name, and
`--model_options` sets its options.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from cnnlab.base.errors import UsageError, nearest
from cnnlab.config.arguments import check
from cnnlab.models.age_gender import age_gender
from cnnlab.models.airbench import airbench94
from cnnlab.models.alexnet import alexnet
from cnnlab.models.cifar_cnn import cifar_cnn
from cnnlab.models.cifar_lrn import cifar_lrn
from cnnlab.models.cifar_two_conv import cifar_two_conv
from cnnlab.models.cifar_vgg import cifar_vgg1, cifar_vgg2, cifar_vgg3, cifar_vgg4
from cnnlab.models.densenet import densenet121
from cnnlab.models.efficientnet import efficientnet_b0
from cnnlab.models.head import feature_head, last_layer
from cnnlab.models.inception_v1 import inception_v1
from cnnlab.models.inception_v3 import inception_v3
from cnnlab.models.lenet import lenet5, lenet5_1998
from cnnlab.models.mnist import mnist_cnn, mnist_convnet, mnist_perceptron
from cnnlab.models.mnist_best import mnist_best
from cnnlab.models.mnist_mlp import mnist_mlp
from cnnlab.models.mobilenet_v2 import mobilenet_v2
from cnnlab.models.resnet import resnet18, resnet20, resnet34, resnet50, resnet56, resnet101
from cnnlab.models.simple_cnn import simple_cnn
from cnnlab.models.spatial_transformer import stn
from cnnlab.models.squeezenet import squeezenet
from cnnlab.models.vgg import vgg11, vgg13, vgg16, vgg19
from cnnlab.models.xray_cnn import xray_cnn

ModelFunction = Callable[..., Any]

MODELS: dict[str, ModelFunction] = {
    "age_gender": age_gender,
    "airbench94": airbench94,
    "cats_dogs": simple_cnn,
    "cifar_cnn": cifar_cnn,
    "cifar_lrn": cifar_lrn,
    "cifar_two_conv": cifar_two_conv,
    "cifar_vgg1": cifar_vgg1,
    "cifar_vgg2": cifar_vgg2,
    "cifar_vgg3": cifar_vgg3,
    "cifar_vgg4": cifar_vgg4,
    "lenet5": lenet5,
    "lenet5_1998": lenet5_1998,
    "mnist_best": mnist_best,
    "mnist_cnn": mnist_cnn,
    "mnist_convnet": mnist_convnet,
    "mnist_mlp": mnist_mlp,
    "mnist_perceptron": mnist_perceptron,
    "mnist_simple": simple_cnn,
    "stn": stn,
    "xray_cnn": xray_cnn,
    # The larger models.
    "alexnet": alexnet,
    "vgg11": vgg11,
    "vgg13": vgg13,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet20": resnet20,
    "resnet56": resnet56,
    "inception_v1": inception_v1,
    "inception_v3": inception_v3,
    "squeezenet": squeezenet,
    "densenet121": densenet121,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_b0": efficientnet_b0,
    # What `cnnlab bottleneck` trains.
    "feature_head": feature_head,
    "last_layer": last_layer,
}


REGISTERED: dict[str, ModelFunction] = {}


def register_model(name: str, model: ModelFunction) -> None:
    """Give a model of your own a name, so that options of this process can select it.

    A run of the model also records the function's file, so other processes find it again.

    Args:
        name: a name that no model of cnnlab has.
        model: a function or another callable object (images, num_classes, *, training) -> logits.

    Raises:
        UsageError: the name is taken, or the object cannot be called like a model.
    """
    if not name.isidentifier() or name in MODELS:
        why = "is a model of cnnlab" if name in MODELS else "is not a Python name"
        raise UsageError(f"register_model: {name} {why}; choose another name")
    check_model(model)
    REGISTERED[name] = model


def find_model(name: str) -> ModelFunction:
    """Return the model of a name.

    Raises:
        UsageError: there is no model of this name. The message suggests the nearest name.
    """
    if ":" in name:
        raise UsageError(
            f"the run does not have the code of its model {name}; give it with --model=FILE.py:NAME"
        )
    known = {**MODELS, **REGISTERED}
    if name not in known:
        hint = nearest(name, known) or f"; known: {', '.join(known)}"
        raise UsageError(f"unknown model {name}{hint}")
    return known[name]


def check_model(model: ModelFunction) -> None:
    """Check that an object can be called like a model.

    Args:
        model: a function, a `functools.partial` of one, or an object that can be called.

    Raises:
        UsageError: it cannot.
    """
    function = model.func if isinstance(model, functools.partial) else model
    named = function if hasattr(function, "__qualname__") else type(function)
    name = f"{named.__module__}:{named.__qualname__}"
    if {"keras", "tf_keras"} & {kind.__module__.split(".")[0] for kind in type(function).__mro__}:
        raise UsageError(
            f"model={name} is an object of Keras, whose weights cnnlab cannot train; write a "
            "function with cnnlab.layers, and load Keras's weights with load_keras_weights"
        )
    try:
        inspect.signature(model).bind_partial("images", "num_classes", training=True)
    except (TypeError, ValueError) as error:  # ValueError: a builtin without a signature
        raise UsageError(
            f"model={name} cannot be called as model(images, num_classes, training=...): {error}"
        ) from error


def check_model_options(model: ModelFunction, given: dict[str, Any]) -> None:
    """Check the options that are to be passed to a model.

    Args:
        model: the model's function.
        given: the options, name to value.

    Raises:
        UsageError: the model has no such option, or a value has a wrong type or range. The message
            names the option, and lists the model's options if it is unknown.
    """
    check(model, given, "--model_options: the model")
