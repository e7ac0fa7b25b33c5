"""Downloads of MNIST and CIFAR by old programs, answered from cnnlab's verified files.

Their addresses answer slowly or not at all today. The files have the official content: IDX files
compressed again by gzip, CIFAR as the archive of binary files or of Python's pickles.
"""

from __future__ import annotations

import functools
import io
import pickle
import re
import sys
import tarfile
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any, Final
from urllib.response import addinfourl

import numpy as np

from cnnlab.data.datasets import Split
from cnnlab.data.files import formats
from cnnlab.data.specs import DATASETS, OFFICIAL_FILES
from cnnlab.run_tf1 import old_data
from cnnlab.run_tf1.noted import stands_in

_IDX: Final = re.compile(r"(train|t10k)[-.](images|labels)[-.]idx[13][-.]ubyte(\.gz)?$")
_CIFAR: Final = re.compile(r"cifar-(10|100)-(python|binary)\.tar\.gz$")
# Size of an IDX file -> size of the official .gz file, which some programs check.
_GZIP_BYTES: Final = {
    "mnist": {47040016: 9912422, 60008: 28881, 7840016: 1648877, 10008: 4542},
    "fashion_mnist": {47040016: 26421880, 60008: 29515, 7840016: 4422102, 10008: 5148},
}
_NPZ: Final = re.compile(r"mnist\.npz$")


def answer_known_downloads() -> None:
    """From here on, urllib's downloads of MNIST and CIFAR read cnnlab's files, in this process."""
    retrieve, urlopen = urllib.request.urlretrieve, urllib.request.urlopen

    def urlretrieve(
        url: str, filename: Any = None, reporthook: Any = None, data: Any = None
    ) -> tuple[Any, Message]:
        content = None if data is not None else _known(url)
        if content is None:
            return retrieve(url, filename, reporthook, data)
        path = filename or str(Path(old_data.data_dir()) / url.rsplit("/", 1)[-1])
        Path(path).write_bytes(content)
        if reporthook is not None:
            reporthook(1, len(content), len(content))
        return path, _headers(content)

    def opened(url: Any, *args: Any, **kwargs: Any) -> Any:
        address = url if isinstance(url, str) else url.full_url
        content = _known(address)
        if content is None:
            return urlopen(url, *args, **kwargs)
        return addinfourl(io.BytesIO(content), _headers(content), address, 200)

    vars(urllib.request).update(urlretrieve=urlretrieve, urlopen=opened)
    # Where Python 2 had them.
    vars(urllib).update(
        urlretrieve=urlretrieve,
        urlopen=opened,
        URLopener=urllib.request.URLopener,
        quote=urllib.parse.quote,
        unquote=urllib.parse.unquote,
        urlencode=urllib.parse.urlencode,
    )


def _headers(content: bytes) -> Message:
    headers = Message()
    headers["Content-Length"] = str(len(content))
    return headers


def _known(url: str) -> bytes | None:
    """Return the content of a known address; None: it is another, or cnnlab itself asks."""
    if sys._getframe(2).f_globals.get("__name__", "").startswith("cnnlab."):
        return None
    name = url.rsplit("/", 1)[-1]
    make: Callable[[], bytes]
    if found := _IDX.search(name):
        if any(other in url.lower() for other in ("emnist", "kmnist", "notmnist")):
            return None
        dataset = "fashion_mnist" if "fashion" in url.lower() else "mnist"
        make = functools.partial(_idx_file, dataset, *found.groups())
    elif found := _CIFAR.search(name):
        make = functools.partial(_cifar_archive, f"cifar{found[1]}", found[2])
    elif _NPZ.search(name):
        make = _mnist_npz
    else:
        return None
    stands_in(f"the download of {name}", "cnnlab's verified files")
    return make()


def _idx_file(dataset: str, split: str, kind: str, packed: str | None) -> bytes:
    data = old_data.load(dataset)
    part: Split = data.train if split == "train" else data.test
    array = part.images[..., 0] if kind == "images" else part.labels.astype(np.uint8)
    content = formats.idx_header(array.shape) + array.tobytes()
    return _gzipped(content, _GZIP_BYTES[dataset].get(len(content), 0)) if packed else content


def _gzipped(content: bytes, size: int) -> bytes:
    """Return a file of gzip of at least a size, filled with zeros, which gzip ignores."""
    level = 9 if len(content) < 1 << 20 else 6  # of large files, 6 is small enough and fast
    compressor = zlib.compressobj(level, zlib.DEFLATED, 31, 9)
    packed = compressor.compress(content) + compressor.flush()
    return packed + bytes(max(0, size - len(packed)))


def _mnist_npz() -> bytes:
    (x_train, y_train), (x_test, y_test) = old_data.keras_load_data("mnist")
    file = io.BytesIO()
    np.savez(file, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return file.getvalue()


def _cifar_archive(dataset: str, form: str) -> bytes:
    """Return the official archive: the same folder, files and records."""
    fine = old_data.load(dataset)
    coarse = old_data.load(dataset, label_mode="coarse") if dataset == "cifar100" else None
    is_ten = dataset == "cifar10"
    folder = {
        ("cifar10", "binary"): "cifar-10-batches-bin",
        ("cifar10", "python"): "cifar-10-batches-py",
        ("cifar100", "binary"): "cifar-100-binary",
        ("cifar100", "python"): "cifar-100-python",
    }[dataset, form]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
        for name, content in _label_files(dataset, form):
            _add(archive, f"{folder}/{name}", content)
        start = 0
        for official in OFFICIAL_FILES[dataset]:
            which = "test" if official.is_test else "train"
            first = 0 if official.is_test else start
            rows = slice(first, first + official.shape[0])
            start += 0 if official.is_test else official.shape[0]
            images = getattr(fine, which).images[rows]
            labels = [getattr(fine, which).labels[rows]]
            if coarse is not None:
                labels.insert(0, getattr(coarse, which).labels[rows])
            records = formats.cifar_records(images, *labels)
            name = official.name if form == "binary" else official.name.removesuffix(".bin")
            content = (
                records.tobytes()
                if form == "binary"
                else _pickled(records[:, len(labels) :], labels, is_ten, name)
            )
            _add(archive, f"{folder}/{name}", content)
    return file.getvalue()


def _label_files(dataset: str, form: str) -> list[tuple[str, bytes]]:
    names = list(DATASETS[dataset].class_names)
    if form == "binary":
        file = "batches.meta.txt" if dataset == "cifar10" else "fine_label_names.txt"
        return [(file, ("\n".join(names) + "\n").encode())]
    key = b"label_names" if dataset == "cifar10" else b"fine_label_names"
    file = "batches.meta" if dataset == "cifar10" else "meta"
    meta = {key: [name.encode() for name in names], b"num_vis": 3072}
    return [(file, python2_pickle(meta))]


def _pickled(pixels: Any, labels: list[Any], is_ten: bool, name: str) -> bytes:
    classes = [[int(label) for label in each] for each in labels]
    batch = {
        b"data": np.ascontiguousarray(pixels),
        b"batch_label": name.replace("_", " ").encode(),
        b"filenames": [b"%05d.png" % number for number in range(len(pixels))],
    }
    keys = [b"labels"] if is_ten else [b"coarse_labels", b"fine_labels"]
    batch.update(zip(keys, classes, strict=True))
    return python2_pickle(batch)


def python2_pickle(value: Any) -> bytes:
    """Return a pickle whose bytes are Python 2's strings, as in the official files.

    `pickle.load(file)` gives text from it, and `encoding="bytes"` gives bytes.
    """
    return _Python2Pickler.dumps(value)


_PythonPickler: Any = vars(pickle)["_Pickler"]  # Python's own, whose types can be chosen


class _Python2Pickler(_PythonPickler):
    """A pickler of protocol 2 that writes bytes as strings of Python 2."""

    @classmethod
    def dumps(cls, value: Any) -> bytes:
        file = io.BytesIO()
        cls(file, 2).dump(value)
        return file.getvalue()

    def save_string(self, text: bytes) -> None:
        if len(text) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text)
        else:
            self.write(pickle.BINSTRING + len(text).to_bytes(4, "little") + text)
        self.memoize(text)


_Python2Pickler.dispatch = {**_PythonPickler.dispatch, bytes: _Python2Pickler.save_string}


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
