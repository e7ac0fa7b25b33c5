"""Small stand-ins for the official data files, and bytes of archives and arrays."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.data.specs import OFFICIAL_FILES

RECORDS = 4  # in each fake file


def fake_files(name: str) -> dict[str, bytes]:
    """Make contents for the official files of a data set, each with RECORDS random records."""
    rng = np.random.default_rng(7)
    files = {}
    for official in OFFICIAL_FILES[name]:
        shape = (RECORDS, *official.shape[1:])
        array = rng.integers(0, 256, shape, np.uint8)
        if official.is_idx:
            if len(shape) == 1:
                array %= 10
            header = struct.pack(f">I{len(shape)}I", 0x800 + len(shape), *shape)
            files[official.name] = header + array.tobytes()
        else:
            array[:, 0] %= 10
            if shape[1] == 3074:
                array[:, 1] %= 100
            files[official.name] = array.tobytes()
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def gzipped(data: bytes) -> bytes:
    """Compress bytes with gzip."""
    return gzip.compress(data, mtime=0)


def tar_gz(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """Make an archive of files (bytes), or of members made by hand (TarInfo, without content)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zipped(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Make a zip archive of one file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    """Make an .npz archive."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


class Bomb:
    """An object that pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call
