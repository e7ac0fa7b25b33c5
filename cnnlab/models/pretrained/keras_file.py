"""A reader of Keras weight files.

A weight file may come from an untrusted source. The reader runs nothing that is in it, follows no
links, and never reads more bytes than the file has.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError

KINDS: Final = ("convolution", "depthwise convolution", "dense", "batch norm")
_STATISTICS: Final = "pixel statistics"  # of Keras's layer Normalization, which prepares pixels
_INSIDE_ARCHIVE: Final = "model.weights.h5"
_MAX_LAYERS: Final = 10_000
_MAX_ATTRIBUTE_BYTES: Final = 1 << 16  # the limit of HDF5 and of Keras


class FileLayer(NamedTuple):
    """A layer that has weights.

    name: its name in the file.
    weights: float32 arrays in Keras's order: kernel, bias; or gamma, beta, mean, variance.
    kind: one of KINDS.
    """

    name: str
    weights: list[npt.NDArray[np.float32]]
    kind: str


def kind_of(shape: tuple[int, ...]) -> str | None:
    """Return the kind of the layer whose first weight has a shape, one of KINDS; None: unknown."""
    if len(shape) == 4:
        return "depthwise convolution" if shape[3] == 1 < shape[2] else "convolution"
    return {2: "dense", 1: "batch norm"}.get(len(shape))


def read_keras_file(path: Path) -> list[FileLayer]:
    """Read the layers that have weights.

    Args:
        path: a `.weights.h5` or `.keras` file of Keras 3, or a `.h5` file of Keras 2 or 3. The
            latter may hold weights or a whole model.

    Returns:
        The layers. Those of one kind are in the order of the model's layers.

    Raises:
        CnnlabError: the file does not exist, is damaged, or holds something that does not belong in
            a weight file.
    """
    if not path.is_file():  # opening a pipe would wait for a writer
        raise CnnlabError(f"the weight file {path} does not exist")
    try:
        with h5py.File(_from_archive(path) if path.suffix == ".keras" else path, "r") as file:
            found = list(_read_layers(file, path.stat().st_size))
            return [layer for layer in found if layer.kind != _STATISTICS]
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise CnnlabError(f"cannot read {path} as a Keras weight file: {reason}") from error


def _from_archive(path: Path) -> io.BytesIO:
    """Return the weight file inside a `.keras` file, after comparing its checksum.

    Raises:
        zipfile.BadZipFile, KeyError, ValueError: it is not such a file, or it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(_INSIDE_ARCHIVE)
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > path.stat().st_size:
            raise ValueError(f"{_INSIDE_ARCHIVE} is compressed, which Keras does not do")
        return io.BytesIO(archive.read(member))


def _read_layers(file: Any, file_bytes: int) -> Iterator[FileLayer]:
    """Yield the layers of a file that have weights, in the order of the file."""
    reader = _Reader(file_bytes)
    root = reader.group(file, "model_weights") if "model_weights" in file else file
    if "layers" in root:  # Keras 3: layers/NAME/vars/0, 1, ...; NAME is a class name and a number
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
    """Return a key that sorts conv2d, conv2d_1, ... conv2d_10 by number, not by letters."""
    base, _, number = name.rpartition("_")
    return (base, int(number)) if base and number.isdecimal() else (name, 0)


def _names_in(group: Any, attribute: str) -> list[str]:
    """Return the strings of an attribute.

    Keras splits a long attribute into attribute0, attribute1, ...

    Raises:
        ValueError: the attribute is missing or is not a list of names.
    """
    keys = [attribute] if attribute in group.attrs else []
    while not keys or keys[-1] != attribute:
        key = f"{attribute}{len(keys)}"
        if key not in group.attrs:
            break
        keys.append(key)
    if not keys:
        raise ValueError(f"the attribute {attribute} is missing")
    names: list[str] = []
    for key in keys:
        described = group.attrs.get_id(key)
        is_text = described.dtype.kind == "S" or h5py.check_string_dtype(described.dtype)
        if described.shape == (0,):
            continue
        claimed_bytes = described.dtype.itemsize * math.prod(described.shape)
        if not is_text or len(described.shape) != 1 or claimed_bytes > _MAX_ATTRIBUTE_BYTES:
            raise ValueError(f"the attribute {key} is not a list of names")
        names += [n.decode() if isinstance(n, bytes) else str(n) for n in group.attrs[key]]
    return names


def _is_count(dataset: Any) -> bool:
    """Return whether a dataset is a single whole number."""
    return isinstance(dataset, h5py.Dataset) and dataset.shape == () and dataset.dtype.kind in "iu"


class _Reader:
    """A reader of arrays of weights, which refuses everything else."""

    def __init__(self, left_bytes: int) -> None:
        self._left_bytes = left_bytes

    def child(self, group: Any, path: str) -> Any:
        """Return the group or dataset at a path below a group.

        Only hard links are followed. Soft links lead elsewhere, and external links to other files.

        Raises:
            ValueError: there is nothing at the path, or a link that is not followed.
        """
        for name in path.split("/"):
            if not isinstance(group, h5py.Group):
                raise ValueError(f"{path[:80]!a} leads into an array")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{path[:80]!a} is missing or is a link")
            group = group[name]
        return group

    def group(self, group: Any, path: str) -> Any:
        """Return the group at a path below a group, as `child` does.

        Raises:
            ValueError: there is no group at the path.
        """
        found = self.child(group, path)
        if not isinstance(found, h5py.Group):
            raise ValueError(f"{path[:80]!a} is an array, not a group")
        return found

    def layer(self, name: str, datasets: list[Any]) -> Iterator[FileLayer]:
        """Yield the layer if it has weights.

        Pooling layers have none, and dropout has only the state of its random numbers.

        Raises:
            ValueError: the layer is of an unknown kind, or the file does not hold its weights.
        """
        if not datasets or not isinstance(datasets[0], h5py.Dataset):
            return
        if datasets[0].dtype.kind != "f":
            return
        kind = kind_of(datasets[0].shape)
        if kind is None:
            raise ValueError(f"layer {name[:80]!a} is not one of: {', '.join(KINDS)}")
        if kind == "batch norm" and _is_count(datasets[-1]):  # mean, variance, count
            datasets, kind = datasets[:-1], _STATISTICS
        yield FileLayer(name[:80], [self._array(dataset) for dataset in datasets], kind)

    def _array(self, dataset: Any) -> npt.NDArray[np.float32]:
        """Return the values of a dataset, after checking that they are floats stored in this file.

        Raises:
            ValueError: they are not.
        """
        name = str(dataset.name)[:80]
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
            raise ValueError(f"{name!a} is not an array of floats")
        if dataset.is_virtual or dataset.external or dataset.chunks is not None:
            raise ValueError(f"{name!a} is not stored contiguously in this file")
        self._left_bytes -= dataset.nbytes
        if self._left_bytes < 0 or dataset.id.get_storage_size() != dataset.nbytes:
            raise ValueError(f"{name!a} claims more values than the file holds")
        return np.asarray(dataset[()], np.float32)
