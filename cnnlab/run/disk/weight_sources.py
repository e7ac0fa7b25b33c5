"""What `--init_from` reads: runs, .npz files, checkpoints of TensorFlow 1, and Keras's files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import reason_of, tf
from cnnlab.config.config import Config
from cnnlab.config.keras_networks import IMAGENET
from cnnlab.models.pretrained.imagenet import fetch_imagenet_weights
from cnnlab.models.pretrained.keras_weights import keras_weights_for
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.signatures import Signature, Signatures
from cnnlab.run.disk.weights_file import npz_signatures, read_npz

_INDEX = ".index"  # the file of a checkpoint that names its variables
# A checkpoint of the older format is a table of LevelDB, which ends with this magic number.
_TABLE_END = bytes.fromhex("57fb808b247547db")


class WeightSource(Protocol):
    """Variables by name, of which some are read."""

    def signatures(self) -> Signatures:
        """Return type and shape of each variable.

        Raises:
            CnnlabError: the source cannot be read, or it is damaged.
        """
        ...

    def read(self, names: Iterable[str]) -> Mapping[str, Any]:
        """Return the values of these variables, name to array.

        Raises:
            CnnlabError: the source is damaged.
        """
        ...


def find_source(config: Config, shapes: dict[str, tuple[int, ...]]) -> WeightSource:
    """Return what `init_from` names, with the names that `init_map` gives its variables.

    Args:
        config: gives init_from, init_step, init_map, model and data_dir.
        shapes: name to shape of the network's variables, in the order of its layers.

    Raises:
        UsageError: there are no weights of Keras for the model.
        CnnlabError: the file cannot be read, or is of another network; or init_map gives two
            variables one name.
    """
    assert config.init_from is not None
    path, step = Path(config.init_from), config.init_step
    source: WeightSource
    if config.init_from == IMAGENET:
        path = fetch_imagenet_weights(config.model, config.data_dir)
        source = _Arrays(keras_weights_for(path, config.model, shapes))
    elif path.suffix in (".h5", ".keras"):
        source = _Arrays(keras_weights_for(path, config.model, shapes))
    elif path.suffix == ".npz":
        source = _Npz(path)
    elif step is not None:
        source = _Run(path, step)
    else:
        source = _Checkpoint(path)
    return renamed(source, config.init_map, "--init_map") if config.init_map else source


def open_source(path: Path) -> tuple[WeightSource, str]:
    """Return the variables that a path holds, and what was opened.

    Args:
        path: a run directory, of which the newest checkpoint is read; a folder best/; an .npz file;
            or the path of a checkpoint without its ending .index.

    Returns:
        the source, and its path for people: that of the checkpoint or file.

    Raises:
        CnnlabError: there is nothing of this kind, or every checkpoint is damaged.
    """
    if path.is_dir():
        step = Checkpoints(path).latest_intact()
        if step is None:
            raise CnnlabError(f"{path} holds no checkpoint")
        return _Run(path, step), str(Checkpoints(path).path(step))
    if path.suffix == ".npz" and path.is_file():
        return _Npz(path), str(path)
    prefix = path.with_name(re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", path.name))
    if not is_checkpoint(prefix):
        raise CnnlabError(
            f"{path} is no checkpoint; name a run directory, an .npz file, or the path of a "
            "checkpoint without its ending .index"
        )
    return _Checkpoint(prefix), str(prefix)


def renamed(source: WeightSource, renaming: Mapping[str, str], option: str) -> WeightSource:
    """Return the source with other names.

    Args:
        source: has the variables under their own names.
        renaming: regular expression to its replacement, as for `re.sub`. Each is applied in turn,
            to the names that the ones before gave.
        option: the option that has the mapping, for messages.

    Raises:
        UsageError: a replacement refers to a group that its expression lacks.
        CnnlabError: two variables get one name.
    """
    return _Renamed(source, renaming, option)


def is_checkpoint(path: Path) -> bool:
    """Return whether a path is the common prefix of the files of a checkpoint, or its only file.

    The only file is one of `tf.train.SaverDef.V1`, as the weights of TF-Slim are.
    """
    if path.with_name(path.name + _INDEX).is_file():
        return True
    if path.suffix == _INDEX or not path.is_file() or path.stat().st_size < len(_TABLE_END):
        return False
    with path.open("rb") as file:
        file.seek(-len(_TABLE_END), os.SEEK_END)
        return file.read() == _TABLE_END


class _Run:
    """A checkpoint of a run."""

    def __init__(self, folder: Path, step: int) -> None:
        self._checkpoints, self._step = Checkpoints(folder), step

    def signatures(self) -> Signatures:
        return self._checkpoints.signatures(self._step)

    def read(self, names: Iterable[str]) -> Mapping[str, Any]:
        return self._checkpoints.read(self._step, names)


class _Npz:
    """An .npz file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def signatures(self) -> Signatures:
        return npz_signatures(self._path)

    def read(self, names: Iterable[str]) -> Mapping[str, Any]:
        return read_npz(self._path, names)


class _Arrays:
    """Arrays that were read already."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._arrays = arrays

    def signatures(self) -> Signatures:
        return {name: Signature(a.dtype.name, a.shape) for name, a in self._arrays.items()}

    def read(self, names: Iterable[str]) -> Mapping[str, Any]:
        return {name: self._arrays[name] for name in names}


class _Checkpoint:
    """A checkpoint of any program that uses TensorFlow 1's Saver."""

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix

    def signatures(self) -> Signatures:
        try:
            reader = tf.train.load_checkpoint(str(self._prefix))
            types, shapes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
            return {name: Signature(types[name].name, tuple(shapes[name])) for name in shapes}
        except Checkpoints.read_errors() as error:
            raise self._damaged(error) from error

    def read(self, names: Iterable[str]) -> Mapping[str, Any]:
        try:
            reader = tf.train.load_checkpoint(str(self._prefix))
            return {name: reader.get_tensor(name) for name in names}
        except Checkpoints.read_errors() as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CnnlabError:
        return CnnlabError(f"checkpoint {self._prefix} is damaged: {reason_of(error)}")


class _Renamed:
    """A source whose variables have other names here."""

    def __init__(self, source: WeightSource, renaming: Mapping[str, str], option: str) -> None:
        self._source = source
        self._theirs: dict[str, str] = {}
        self._signatures: dict[str, Signature] = {}
        for name, signature in sorted(source.signatures().items()):
            new = name
            for expression, replacement in renaming.items():
                try:
                    new = re.sub(expression, replacement, new)
                except (re.error, IndexError) as error:
                    raise UsageError(f"{option}: {expression}: {replacement}: {error}") from error
            if new in self._theirs:
                raise CnnlabError(
                    f"{option} gives {self._theirs[new]} and {name} the same name, {new}"
                )
            self._theirs[new], self._signatures[new] = name, signature

    def signatures(self) -> Signatures:
        return self._signatures

    def read(self, names: Iterable[str]) -> Mapping[str, Any]:
        names = list(names)
        values = self._source.read([self._theirs[name] for name in names])
        return {name: values[self._theirs[name]] for name in names}
