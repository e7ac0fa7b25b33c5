"""Weights in an .npz file: one array a variable, under the variable's name, without pickle."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError
from cnnlab.run.disk.signatures import Signature

_SUFFIX = ".npy"


def weights_to_npz(weights: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the content of an .npz file, which `numpy.load` reads."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, value in weights.items():
            with archive.open(zipfile.ZipInfo(name + _SUFFIX), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)
    return buffer.getvalue()


def npz_signatures(path: Path) -> dict[str, Signature]:
    """Return type and shape of each array of the file, by name, without reading the arrays.

    Raises:
        CnnlabError: the file does not exist, is not an .npz, or holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(_SUFFIX)]
            return {name.removesuffix(_SUFFIX): _signature(archive, name) for name in names}
    except Exception as error:  # a hostile archive can raise a dozen kinds
        raise _unreadable(path, error) from error


def read_npz(path: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Return these arrays of the file, by name.

    Raises:
        CnnlabError: an array is missing, or its checksum is wrong.
    """
    try:
        # Not `np.load`: where a file has a member `a` beside `a.npy`, it returns the bytes of `a`.
        with zipfile.ZipFile(path) as archive:
            return {name: _array(archive, name + _SUFFIX) for name in names}
    except Exception as error:  # a hostile archive can raise a dozen kinds
        raise _unreadable(path, error) from error


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(name) as member:
        array: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        member.read(1)  # at the end, it compares the checksum
        return array


def _signature(archive: zipfile.ZipFile, name: str) -> Signature:
    """Return type and shape from the header of a member.

    Raises:
        ValueError: it holds Python objects, or is too short for its shape.
    """
    with archive.open(name) as member:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[np.lib.format.read_magic(member)]
        shape, _, dtype = read_header(member)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    if math.prod(shape) * dtype.itemsize > archive.getinfo(name).file_size:
        raise ValueError(f"{name} is truncated")
    return Signature(dtype.name, shape)


def _unreadable(path: Path, error: Exception) -> CnnlabError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return CnnlabError(f"weights {path} cannot be read: {' '.join(reason.split())[:200]}")
