"""Weights of Keras Applications' networks, read from the files that Keras writes.

    weights = load_keras_weights("resnet50.weights.h5", "resnet50")

Keras itself puts weights back by the order of a model's layers, not by their names (which count up
within a process); so does this: the n-th convolution of the file is the n-th of the network, and
likewise batch norms and dense layers. Then every shape must fit.

A weight file may come from anywhere. Nothing in it is run, no link in it is followed to another
file, and no more is read than the file has bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.models import check_model_options, find_model
from cnnlab.tf1 import tf
from cnnlab.tower import Tower, building

Array = npt.NDArray[np.float32]

NETWORKS: Final = ("densenet121", "inception_v3", "resnet50", "resnet101", "vgg16", "vgg19")
KINDS: Final = {4: "convolution", 2: "dense", 1: "batch norm"}  # by a first weight's rank
_MAX_LAYERS: Final = 10_000

# Keras lists the layers of an Inception module by how many follow them, most first.
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


class _Layer(NamedTuple):
    """A layer with weights; `weights` are arrays, or in our network names and shapes."""

    name: str
    weights: list[Any]


def load_keras_weights(
    path: str | Path, model: str, *, image_size: int = 224, **model_options: Any
) -> dict[str, Array]:
    """Read a weight file of the Keras network that corresponds to one of ours.

    Args:
        path: a `.weights.h5` of Keras 3, or a `.h5` of Keras 2 or 3: weights or a whole model, with
            or without the dense layers at its end ("notop").
        model: densenet121, inception_v3, resnet50, resnet101, vgg16 or vgg19.
        image_size: height and width of the images; matters to the dense layers of VGG alone.
        **model_options: as the option of that name, where the file is of such a network.

    Returns:
        variable name to value, float32, for every variable of our network; without the dense layers
        where the file has none.

    Raises:
        UsageError: no such network.
        CnnlabError: the file cannot be read, is not of this network (it says which layer does not
            fit), or holds something that a weight file has no reason to hold.
    """
    if model not in NETWORKS:
        raise UsageError(f"no Keras weights for model {model}; there are for {', '.join(NETWORKS)}")
    check_model_options(find_model(model), model_options)
    path = Path(path)
    if not path.is_file():  # opening a pipe would wait for a writer
        raise CnnlabError(f"no weight file {path}")
    try:
        with h5py.File(path, "r") as file:
            found = list(_read_layers(file, path.stat().st_size))
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CnnlabError(f"{path} is no Keras weight file that can be read: {reason}") from error
    dense = _of_kind(found, "dense")
    num_classes = dense[-1].weights[0].shape[1] if dense else 1
    wanted = _layers_of(model, num_classes, image_size, model_options)
    result: dict[str, Array] = {}
    for kind in KINDS.values():
        ours, theirs = _of_kind(wanted, kind), _of_kind(found, kind)
        if kind == "dense" and not theirs:
            continue
        if len(ours) != len(theirs):
            raise CnnlabError(
                f"{path} has {len(theirs)} {kind} layers, where {model} has {len(ours)}"
            )
        for our, their in zip(ours, theirs, strict=True):
            result.update(_fitted(our, their, path, model))
    return result


def _fitted(our: _Layer, their: _Layer, path: Path, model: str) -> dict[str, Array]:
    """Our names to their arrays, of one layer."""
    shapes = [weight.shape for weight in our.weights]
    given = [array.shape for array in their.weights]
    if given != shapes:
        raise CnnlabError(
            f"{path}: layer {their.name} has weights of {_text(given)}, where {our.name} of "
            f"{model} has {_text(shapes)}"
        )
    return {weight.name: array for weight, array in zip(our.weights, their.weights, strict=True)}


def _text(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes[:5])


class _Variable(NamedTuple):
    name: str
    shape: tuple[int, ...]


def _layers_of(
    model: str, num_classes: int, image_size: int, model_options: dict[str, Any]
) -> list[_Layer]:
    """The layers of our network that have weights, in Keras's order."""
    with tf.Graph().as_default(), tf.device("/cpu:0"):
        with building(Tower(0)):
            images = tf.zeros([1, image_size, image_size, 3])
            find_model(model)(images, num_classes, training=False, **model_options)
        layers: dict[str, _Layer] = {}
        for variable in tf.global_variables():
            name = variable.op.name.rpartition("/")[0]
            shape = tuple(variable.shape.as_list())
            layer = layers.setdefault(name, _Layer(name, []))
            layer.weights.append(_Variable(variable.op.name, shape))
    if model == "inception_v3":
        return sorted(layers.values(), key=_inception_place)
    return list(layers.values())


def _inception_place(layer: _Layer) -> tuple[int, int]:
    """Where Keras has this layer: module, and place in it; sorting keeps the order of equals."""
    module, _, branch = layer.name.removesuffix("_norm").partition("/branch")
    if module in _INCEPTION_ORDER:
        place = _INCEPTION_ORDER[module].split().index(branch)
        return 1 + list(_INCEPTION_ORDER).index(module), place
    return (len(_INCEPTION_ORDER) + 1 if module == "logits" else 0), 0


def _of_kind(layers: list[_Layer], kind: str) -> list[_Layer]:
    return [layer for layer in layers if KINDS[len(layer.weights[0].shape)] == kind]


def _read_layers(file: Any, file_bytes: int) -> Iterator[_Layer]:
    """The layers of a file that have weights, in its order."""
    reader = _Reader(file_bytes)
    root = reader.group(file, "model_weights") if "model_weights" in file else file
    if "layers" in root:  # Keras 3: layers/NAME/vars/0, 1, ...; NAME is the class's, counted
        layers = reader.group(root, "layers")
        for name in sorted(list(layers)[:_MAX_LAYERS], key=_counted):
            layer = reader.group(layers, name)
            variables = reader.group(layer, "vars") if "vars" in layer else {}
            keys = sorted(list(variables)[:10], key=int)
            yield from reader.layer(name, [reader.child(variables, key) for key in keys])
        return
    for name in _names_in(root, "layer_names"):
        layer = reader.group(root, name)
        keys = _names_in(layer, "weight_names")
        yield from reader.layer(name, [reader.child(layer, key) for key in keys])


def _counted(name: str) -> tuple[str, int]:
    """conv2d, conv2d_1, ... conv2d_10 in this order."""
    base, _, number = name.rpartition("_")
    return (base, int(number)) if base and number.isdecimal() else (name, 0)


def _names_in(group: Any, attribute: str) -> list[str]:
    """The strings of an attribute; Keras cuts a long one into attribute0, attribute1, ..."""
    keys = [attribute] if attribute in group.attrs else []
    while not keys or keys[-1] != attribute:
        key = f"{attribute}{len(keys)}"
        if key not in group.attrs:
            break
        keys.append(key)
    if not keys:
        raise ValueError(f"no attribute {attribute}")
    names: list[str] = []
    for key in keys:
        described = group.attrs.get_id(key)
        is_text = described.dtype.kind == "S" or h5py.check_string_dtype(described.dtype)
        if described.shape == (0,):
            continue
        if not is_text or len(described.shape) != 1 or described.shape[0] > _MAX_LAYERS:
            raise ValueError(f"attribute {key} is no list of names")
        names += [n.decode() if isinstance(n, bytes) else str(n) for n in group.attrs[key]]
    return names


class _Reader:
    """Reads arrays of weights and nothing else."""

    def __init__(self, left_bytes: int) -> None:
        self._left_bytes = left_bytes

    def child(self, group: Any, path: str) -> Any:
        """What lies at a path below a group, by hard links alone.

        Soft and external links lead elsewhere, the latter to other files.
        """
        for name in path.split("/"):
            if not isinstance(group, h5py.Group):
                raise ValueError(f"{path[:80]!a} leads into an array")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{path[:80]!a} is missing, or a link")
            group = group[name]
        return group

    def group(self, group: Any, path: str) -> Any:
        """The group at a path, likewise."""
        found = self.child(group, path)
        if not isinstance(found, h5py.Group):
            raise ValueError(f"{path[:80]!a} is an array")
        return found

    def layer(self, name: str, datasets: list[Any]) -> Iterator[_Layer]:
        """The layer, if it has weights; others (pools, the seeds of dropout) are passed over."""
        if not datasets or not isinstance(datasets[0], h5py.Dataset):
            return
        if datasets[0].dtype.kind != "f":
            return
        if len(datasets[0].shape) not in KINDS:
            raise ValueError(f"layer {name[:80]!a} is none of {', '.join(KINDS.values())}")
        yield _Layer(name[:80], [self._array(dataset) for dataset in datasets])

    def _array(self, dataset: Any) -> Array:
        """Its values, once it is sure that they are plain floats that lie in this file."""
        name = str(dataset.name)[:80]
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
            raise ValueError(f"{name!a} is no array of floats")
        if dataset.is_virtual or dataset.external or dataset.chunks is not None:
            raise ValueError(f"{name!a} is not stored plainly in this file")
        self._left_bytes -= dataset.nbytes
        if self._left_bytes < 0 or dataset.id.get_storage_size() != dataset.nbytes:
            raise ValueError(f"{name!a} claims more values than the file holds")
        return np.asarray(dataset[()], np.float32)
