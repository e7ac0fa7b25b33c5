"""The arrays of a Keras weight file, layer by layer.

A weight file may come from anywhere. Nothing in it is run, no link in it is followed to another
file, and no more is read than the file has bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError

KINDS: Final = {4: "convolution", 2: "dense", 1: "batch norm"}  # by the first weight's rank
_MAX_LAYERS: Final = 10_000
_MAX_ATTRIBUTE_BYTES: Final = 1 << 16  # HDF5's own limit, and Keras's


class FileLayer(NamedTuple):
    """A layer that has weights.

    name: in the file.
    weights: float32 arrays, in Keras's order: kernel, bias; or gamma, beta, mean, variance.
    """

    name: str
    weights: list[npt.NDArray[np.float32]]

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return KINDS[self.weights[0].ndim]


def read_keras_file(path: Path) -> list[FileLayer]:
    """The layers that have weights, in the order of the model's layers, each kind for itself.

    Args:
        path: a `.weights.h5` of Keras 3, or a `.h5` of Keras 2 or 3, of weights or a whole model.

    Raises:
        CnnlabError: there is no such file, it is damaged, or it holds something that a weight file
            has no reason to hold.
    """
    if not path.is_file():  # opening a pipe would wait for a writer
        raise CnnlabError(f"no weight file {path}")
    try:
        with h5py.File(path, "r") as file:
            return list(_read_layers(file, path.stat().st_size))
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CnnlabError(f"{path} is no Keras weight file that can be read: {reason}") from error


def _read_layers(file: Any, file_bytes: int) -> Iterator[FileLayer]:
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
        claimed_bytes = described.dtype.itemsize * math.prod(described.shape)
        if not is_text or len(described.shape) != 1 or claimed_bytes > _MAX_ATTRIBUTE_BYTES:
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

    def layer(self, name: str, datasets: list[Any]) -> Iterator[FileLayer]:
        """The layer, if it has weights; others (pools, the seeds of dropout) are passed over."""
        if not datasets or not isinstance(datasets[0], h5py.Dataset):
            return
        if datasets[0].dtype.kind != "f":
            return
        if len(datasets[0].shape) not in KINDS:
            raise ValueError(f"layer {name[:80]!a} is none of {', '.join(KINDS.values())}")
        yield FileLayer(name[:80], [self._array(dataset) for dataset in datasets])

    def _array(self, dataset: Any) -> npt.NDArray[np.float32]:
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
