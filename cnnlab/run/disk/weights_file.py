"""Weights as an .npz file: one array a variable, by the variable's name; no pickle."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError
from cnnlab.run.disk.signatures import Signature

_SUFFIX = ".npy"
_DAMAGE = (OSError, ValueError, EOFError, LookupError, RuntimeError, zipfile.BadZipFile, zlib.error)


def weights_to_npz(weights: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The file's content; `numpy.load` reads it as it reads any .npz."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, value in weights.items():
            with archive.open(zipfile.ZipInfo(name + _SUFFIX), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)
    return buffer.getvalue()


def npz_signatures(path: Path) -> dict[str, Signature]:
    """Type and shape of each array of the file, by name; no array is read.

    Raises:
        CnnlabError: there is no such file, it is no .npz, or it holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(_SUFFIX)]
            return {name.removesuffix(_SUFFIX): _signature(archive, name) for name in names}
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def read_npz(path: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """These arrays of the file.

    Raises:
        CnnlabError: one is missing, or does not have the checksum it was saved with.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def _signature(archive: zipfile.ZipFile, name: str) -> Signature:
    """What the header of a member says, where its size agrees."""
    with archive.open(name) as member:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[np.lib.format.read_magic(member)]
        shape, _, dtype = read_header(member)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    if math.prod(shape) * dtype.itemsize > archive.getinfo(name).file_size:
        raise ValueError(f"{name} is cut short")
    return Signature(dtype.name, shape)


def _unreadable(path: Path, error: Exception) -> CnnlabError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return CnnlabError(f"weights {path} cannot be read: {' '.join(reason.split())[:200]}")
