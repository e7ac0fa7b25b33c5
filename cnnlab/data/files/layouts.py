"""Finds the files of a named data set, in every layout, and checks them.

    data_dir/cifar-10-batches-bin/data_batch_1.bin ...   binary: written by a fetch
    data_dir/cifar-10-batches-py/data_batch_1 ...        python: pickles
    data_dir/cifar-10-{binary,python}.tar.gz             archives as downloaded, read in memory
    data_dir/{mnist,MNIST/raw}/train-images-idx3-ubyte   idx: plain or .gz
    data_dir/mnist.npz                                   npz
The same holds for CIFAR-100 and Fashion-MNIST. All files are also found directly in data_dir, in
data_dir/NAME and in data_dir/datasets. So data_dir may be Keras's cache, ~/.keras/datasets or
~/.keras, and its names for folders and archives of CIFAR are known too.

In every layout, a file is decoded to the array of the corresponding official file
(`OfficialFile.shape`). So one table of checksums serves all layouts.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np

from cnnlab.base.errors import DataError
from cnnlab.data.files import archives, formats, pickles
from cnnlab.data.specs import DATASETS, OFFICIAL_FILES, OfficialFile, dataset_spec

Layout = Literal["binary", "python", "idx", "npz"]

_BINARY_FOLDERS: Final = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}
_PYTHON_FOLDERS: Final = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_ARCHIVES: Final = {
    "cifar10": (
        *("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"),
        *("cifar-10-batches-py.tar.gz", "cifar-10-batches-py-target_archive"),  # Keras's names
    ),
    "cifar100": (
        *("cifar-100-binary.tar.gz", "cifar-100-python.tar.gz"),
        "cifar-100-python-target_archive",
    ),
}
_IDX_FOLDERS: Final = {
    "mnist": ("mnist", "MNIST/raw", "mnist/MNIST/raw", "MNIST", "."),
    "fashion_mnist": (
        *("fashion_mnist", "FashionMNIST/raw", "fashion_mnist/FashionMNIST/raw"),
        *("fashion-mnist", "FashionMNIST", "."),
    ),
}
_NPZ_KEYS: Final = {
    "train-images-idx3-ubyte": "x_train",
    "train-labels-idx1-ubyte": "y_train",
    "t10k-images-idx3-ubyte": "x_test",
    "t10k-labels-idx1-ubyte": "y_test",
}


@dataclasses.dataclass(frozen=True)
class Part:
    """The source of one official file's content: a file, or a member of an archive."""

    official: OfficialFile
    layout: Layout
    path: Path
    member: str = ""  # name in a .tar.gz or .npz

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)


def find_parts(name: str, data_dir: str | Path) -> list[Part]:
    """Find the files of a data set under `data_dir`, in the first layout that is complete.

    Returns:
        one part per file of OFFICIAL_FILES[name], in that order; empty if no file was found.

    Raises:
        DataError: no layout is complete, but some files are there. The message names a missing one.
    """
    root = Path(data_dir).expanduser()
    incomplete = ""
    for layout, folder in _folders(name, root):
        parts, missing = [], []
        for official in OFFICIAL_FILES[name]:
            spellings = _spellings(official, layout)
            path = next((folder / s for s in spellings if (folder / s).is_file()), None)
            if path:
                parts.append(Part(official, layout, path))
            else:
                missing.append(spellings[0])
        if not missing:
            return parts
        if parts and not incomplete:
            incomplete = (
                f"{folder / missing[0]} is missing ({folder} has {len(parts)} of the "
                f"{len(parts) + len(missing)} files of {name}); "
                f"fetch it with python -m cnnlab.data fetch {name} --data_dir={data_dir}"
            )
    for folder in _roots(name, root):
        for archive in _ARCHIVES.get(name, ()):
            if (folder / archive).is_file():
                return _archive_parts(name, folder / archive)
        if name in _IDX_FOLDERS and (folder / f"{name}.npz").is_file():
            return [
                Part(official, "npz", folder / f"{name}.npz", _NPZ_KEYS[official.name])
                for official in OFFICIAL_FILES[name]
            ]
    if incomplete:
        raise DataError(incomplete)
    return []


def _roots(name: str, root: Path) -> tuple[Path, ...]:
    return root, root / name, root / "datasets"


def _folders(name: str, root: Path) -> Iterator[tuple[Layout, Path]]:
    if name in _IDX_FOLDERS:
        for place in (root, root / "datasets"):
            for folder in _IDX_FOLDERS[name]:
                yield "idx", place / folder
        return
    python = _PYTHON_FOLDERS[name]
    layouts: tuple[tuple[Layout, tuple[str, ...]], ...] = (
        ("binary", (_BINARY_FOLDERS[name], ".")),
        ("python", (python, f"{python}-target/{python}", ".")),  # the second is Keras's
    )
    for layout, folders in layouts:
        for folder in folders:
            for place in _roots(name, root):
                yield layout, place / folder


def _spellings(official: OfficialFile, layout: Layout) -> list[str]:
    if layout == "python":
        return [official.name.removesuffix(".bin")]
    if layout == "idx":  # some unpackers replace the last dash by a dot
        plain = [official.name, official.name.replace("-idx", ".idx")]
        return plain + [f"{spelling}.gz" for spelling in plain]
    return [official.name]


def _archive_parts(name: str, path: Path) -> list[Part]:
    layout: Layout = "binary" if "binary" in path.name else "python"
    folder = (_PYTHON_FOLDERS if layout == "python" else _BINARY_FOLDERS)[name]
    return [
        Part(official, layout, path, f"{folder}/{_spellings(official, layout)[0]}")
        for official in OFFICIAL_FILES[name]
    ]


def read_parts(parts: Sequence[Part]) -> Iterator[tuple[Part, bytes]]:
    """Read the bytes of each part, one part at a time (members of a .tar.gz in one pass).

    Raises:
        DataError: a file cannot be read, or a member is missing.
    """
    contents: dict[str, bytes] = {}
    for part in parts:
        try:
            if part.member and part.layout != "npz":
                if not contents:
                    contents = archives.read_tar_members(part.path, {p.member for p in parts})
                data = contents[part.member]
            elif part.layout == "npz":
                data = contents.get("") or part.path.read_bytes()
                contents[""] = data
            else:
                data = part.path.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DataError(
                f"{part.path}: cannot be read: {reason}; check the file and its permissions"
            ) from None
        yield part, data


def parse_part(name: str, part: Part, data: bytes, *, verify: bool) -> formats.Uint8Array:
    """Decode a part to the array of its official file, and check it.

    Args:
        name: of the data set.
        part, data: from `read_parts`.
        verify: whether the data must be the official one. If False, any number of records is
            accepted.

    Returns:
        uint8 [n, ...] of the shape `part.official.shape`; without `verify` n may differ.

    Raises:
        DataError: damaged data, wrong size, a label out of range, or (verify) a wrong checksum.
    """
    official, shown = part.official, str(part)
    if verify and part.layout == "binary" and len(data) != official.size_bytes:
        raise DataError(
            f"{shown}: expected {official.size_bytes} bytes, found {len(data)}; the file is "
            f"truncated or not the official one; {_fetch_hint(name)}{_OWN_FILES}"
        )
    array = _decode(part, data)
    expected = official.shape if verify else (len(array), *official.shape[1:])
    if array.shape != expected:
        raise DataError(
            f"{shown}: expected {_by(expected)} values, found {_by(array.shape)}; "
            f"the file is not the official one; {_fetch_hint(name)}{_OWN_FILES if verify else ''}"
        )
    if official.is_idx:
        if len(official.shape) == 1:
            formats.check_labels(array, shown, dataset_spec(name).num_classes)
    elif name == "cifar100":
        formats.check_labels(array[:, 0], shown, dataset_spec(name, "coarse").num_classes)
        formats.check_labels(array[:, 1], shown, dataset_spec(name, "fine").num_classes)
    else:
        formats.check_labels(array[:, 0], shown, dataset_spec(name).num_classes)
    if verify:
        _check_sha256(name, part, array)
    return array


def _fetch_hint(name: str) -> str:
    fetch = f"python -m cnnlab.data fetch {name} --overwrite"
    return f"get the official one with {fetch} and this --data_dir"


_OWN_FILES: Final = ", or use your own files with --verify_data=False"


def _decode(part: Part, data: bytes) -> formats.Uint8Array:
    shown, shape = str(part), part.official.shape
    if part.layout == "binary":
        return formats.parse_cifar_binary(
            data, shown, label_bytes=shape[1] - formats.CIFAR_PIXEL_BYTES
        )
    if part.layout == "python":
        two_labels = shape[1] - formats.CIFAR_PIXEL_BYTES == 2
        keys = ("coarse_labels", "fine_labels") if two_labels else ("labels",)
        return pickles.parse_cifar_pickle(data, shown, label_keys=keys)
    if part.layout == "idx":
        return formats.parse_idx(data, shown, ndim=len(shape))
    array = formats.parse_npz(data, shown, key=part.member)
    if array.ndim != len(shape):
        raise DataError(
            f"{shown}: expected {len(shape)} dimensions, found shape {array.shape}; "
            f"download the file again"
        )
    if array.dtype != np.uint8:  # some files hold their labels as int64
        if len(shape) > 1:
            raise DataError(
                f"{shown}: expected pixels as uint8, found {array.dtype}; download the file again"
            )
        formats.check_labels(array, shown, 256)
    return array.astype(np.uint8, order="C", copy=False)


def _sha256(part: Part, array: formats.Uint8Array) -> str:
    """Return the checksum that the official file with this content would have."""
    digest = hashlib.sha256(formats.idx_header(array.shape) if part.official.is_idx else b"")
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _check_sha256(name: str, part: Part, array: formats.Uint8Array) -> None:
    expected, found = part.official.sha256, _sha256(part, array)
    if expected is None:
        # Without a checksum, at least detect MNIST under the same file names of Fashion-MNIST.
        for other in DATASETS:
            if any(found == official.sha256 for official in OFFICIAL_FILES.get(other, ())):
                raise DataError(
                    f"{part}: this is {other}, not {name}; replace it by the file of {name}"
                )
    elif found != expected:
        content = "" if part.layout == "binary" else f" (of its content as {part.official.name})"
        raise DataError(
            f"{part}: expected SHA-256 {expected}, found {found}{content}; "
            f"the file is not the official one; {_fetch_hint(name)}{_OWN_FILES}"
        )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
