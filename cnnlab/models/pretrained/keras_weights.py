"""Weights of the networks of Keras Applications, read from the files that Keras writes.

    weights = cnnlab.load_keras_weights("resnet50.weights.h5", "resnet50")

Keras matches weights by the order of a model's layers, because its names of layers differ from
process to process. This module does the same: the n-th convolution of the file is the n-th
convolution of the model. Batch norms and dense layers are matched in the same way. Then every shape
must fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Tower, building
from cnnlab.models import check_model_options, find_model
from cnnlab.models.pretrained.keras_file import KINDS, FileLayer, kind_of, read_keras_file

Array = npt.NDArray[np.float32]
Shapes = dict[str, tuple[int, ...]]  # variable name to shape

NETWORKS: Final = (
    *("densenet121", "efficientnet_b0", "inception_v3", "mobilenet_v2"),
    *("resnet50", "resnet101", "vgg16", "vgg19"),
)

# Keras sorts the layers of an Inception module by how many layers follow them, most first.
_INCEPTION_ORDER: Final = {
    **dict.fromkeys(
        ("mixed0", "mixed1", "mixed2"),
        "3x3dbl_1 5x5_1 3x3dbl_2 1x1 5x5_2 3x3dbl_3 _pool",
    ),
    "mixed3": "3x3dbl_1 3x3dbl_2 3x3 3x3dbl_3",
    **dict.fromkeys(
        ("mixed4", "mixed5", "mixed6", "mixed7"),
        "7x7dbl_1 7x7dbl_2 7x7_1 7x7dbl_3 7x7_2 7x7dbl_4 1x1 7x7_3 7x7dbl_5 _pool",
    ),
    "mixed8": "7x7x3_1 7x7x3_2 3x3_1 7x7x3_3 3x3_2 7x7x3_4",
    **dict.fromkeys(
        ("mixed9", "mixed10"),
        "3x3dbl_1 3x3_1 3x3dbl_2 3x3_2a 3x3_2b 3x3dbl_3a 3x3dbl_3b 1x1 _pool",
    ),
}


def load_keras_weights(
    path: str | Path, model: str, *, image_size: int = 224, **model_options: Any
) -> dict[str, Array]:
    """Read the weights of a Keras network for the cnnlab model that corresponds to it.

    Args:
        path: a `.weights.h5` or `.keras` file of Keras 3, or a `.h5` file of Keras 2 or 3. The
            latter may hold weights or a whole model. The dense layers at the end may be missing
            ("notop").
        model: densenet121, efficientnet_b0, inception_v3, mobilenet_v2, resnet50, resnet101, vgg16
            or vgg19.
        image_size: height and width of the images in pixels. Only the dense layers of VGG depend on
            it.
        **model_options: the model's options, as in `--model_options`, with which it has the same
            layers as the file.

    Returns:
        A dict of variable names and float32 arrays, for every variable of the model. The dense
        layers are left out if the file has none.

    Raises:
        UsageError: there are no Keras weights for this model, or the model has no such option.
        CnnlabError: the file cannot be read, holds something that does not belong in a weight file,
            or is of another network. The message then names the layer that does not fit.
    """
    check_network(model)
    check_model_options(find_model(model), model_options)
    path = Path(path)
    found = read_keras_file(path)
    dense = [layer for layer in found if layer.kind == "dense"]
    num_classes = dense[-1].weights[0].shape[1] if dense else 1
    wanted = _shapes_of(model, num_classes, image_size, model_options)
    result: dict[str, Array] = {}
    for our, their in _pairs(path, model, wanted, found):
        given = [array.shape for array in their.weights]
        if given != list(our.values()):
            raise CnnlabError(
                f"{path}: layer {their.name} has weights of shape {_text(given)}, but "
                f"{_name_of(our)} of {model} has {_text(our.values())}"
            )
        result.update(zip(our, their.weights, strict=True))
    return result


def keras_weights_for(path: Path, model: str, variables: Shapes) -> dict[str, Array]:
    """Read the weights of a Keras network for variables that may have other shapes in part.

    Args:
        path: see `load_keras_weights`.
        model: see `load_keras_weights`.
        variables: name to shape of the model's variables, in the order of its layers.

    Returns:
        A dict of names and arrays. An array of the file that corresponds to a variable has the
        variable's name, and another shape if the layer is another one. Dense layers of the file
        have their own names if the model has more or fewer of them.

    Raises:
        UsageError: there are no Keras weights for this model.
        CnnlabError: the file cannot be read, or it is of another network.
    """
    check_network(model)
    found = read_keras_file(path)
    wanted = _in_order(model, _by_layer(variables))
    dense = [layer for layer in found if layer.kind == "dense"]
    result: dict[str, Array] = {}
    if len(dense) != sum(_kind_of(layer) == "dense" for layer in wanted):
        found = [layer for layer in found if layer.kind != "dense"]
        result = {
            f"{layer.name}/{place}": array
            for layer in dense
            for place, array in enumerate(layer.weights)
        }
    for our, their in _pairs(path, model, wanted, found):
        if len(our) != len(their.weights):
            raise CnnlabError(
                f"{path}: layer {their.name} has {len(their.weights)} weights, but "
                f"{_name_of(our)} of {model} has {len(our)}"
            )
        result.update(zip(our, their.weights, strict=True))
    return result


def check_network(model: str) -> None:
    """Check that Keras Applications has a network.

    Raises:
        UsageError: it does not.
    """
    if model not in NETWORKS:
        raise UsageError(
            f"there are no Keras weights for the model {model}, only for {', '.join(NETWORKS)}"
        )


def _pairs(
    path: Path, model: str, wanted: list[Shapes], found: list[FileLayer]
) -> Iterator[tuple[Shapes, FileLayer]]:
    """Yield each layer of the model with that of the file; no dense layers if the file has none.

    Raises:
        CnnlabError: the file has more or fewer layers of a kind.
    """
    for kind in KINDS:
        ours = [layer for layer in wanted if _kind_of(layer) == kind]
        theirs = [layer for layer in found if layer.kind == kind]
        if kind == "dense" and not theirs:
            continue
        if len(ours) != len(theirs):
            raise CnnlabError(
                f"{path} has {len(theirs)} {kind} layers, but {model} has {len(ours)}"
            )
        yield from zip(ours, theirs, strict=True)


def _shapes_of(
    model: str, num_classes: int, image_size: int, model_options: dict[str, Any]
) -> list[Shapes]:
    """Return the layers of the cnnlab model that have weights, in Keras's order."""
    with building_in(tf.Graph()), tf.device("/cpu:0"):
        with building(Tower(0)):
            images = tf.zeros([1, image_size, image_size, 3])
            find_model(model)(images, num_classes, training=False, **model_options)
        made = {v.op.name: tuple(v.shape.as_list()) for v in tf.global_variables()}
    return _in_order(model, _by_layer(made))


def _by_layer(variables: Shapes) -> list[Shapes]:
    """Return the variables of each layer, which has the scope of its variables as its name."""
    layers: dict[str, Shapes] = {}
    for name, shape in variables.items():
        layers.setdefault(name.rpartition("/")[0], {})[name] = shape
    return list(layers.values())


def _in_order(model: str, layers: list[Shapes]) -> list[Shapes]:
    """Return the layers in Keras's order, in which all models but Inception-V3 build theirs."""
    return sorted(layers, key=_inception_place) if model == "inception_v3" else layers


def _inception_place(layer: Shapes) -> tuple[int, int]:
    """Return a sort key: the number of the layer's module in Keras, and its position in the module.

    Sorting keeps the order of layers with equal keys.
    """
    module, _, branch = _name_of(layer).removesuffix("_norm").partition("/branch")
    if module in _INCEPTION_ORDER:
        place = _INCEPTION_ORDER[module].split().index(branch)
        return 1 + list(_INCEPTION_ORDER).index(module), place
    return (len(_INCEPTION_ORDER) + 1 if module == "logits" else 0), 0


def _name_of(layer: Shapes) -> str:
    """Return the name of a layer, which is the scope of its variables."""
    return next(iter(layer)).rpartition("/")[0]


def _kind_of(layer: Shapes) -> str:
    """Return the kind of a layer, one of KINDS."""
    return str(kind_of(next(iter(layer.values()))))


def _text(shapes: Iterable[tuple[int, ...]]) -> str:
    """Format at most five shapes, as in "3x3x64x128, 128"."""
    return ", ".join("x".join(map(str, shape)) for shape in list(shapes)[:5])
