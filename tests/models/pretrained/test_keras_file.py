"""Keras weight files: which are read, and which are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.models.pretrained.keras_file import read_keras_file
from tests.models.pretrained.test_keras_weights import legacy, write

KERNEL = np.zeros((3, 3, 3, 64), np.float32)


def external_link(file: Any) -> None:
    legacy(file, {"a": {"kernel": KERNEL}})
    del file["a/kernel"]
    file["a/kernel"] = h5py.ExternalLink("secret.h5", "/x")


def soft_link(file: Any) -> None:
    legacy(file, {"a": {"kernel": KERNEL, "bias": KERNEL[0, 0, 0]}})
    del file["a/bias"]
    file["a/bias"] = h5py.SoftLink("/a/kernel")


def linked_group(file: Any) -> None:
    file["layers"] = h5py.ExternalLink("secret.h5", "/")


def external_storage(file: Any) -> None:
    legacy(file, {"a": {}})
    file["a"].attrs["weight_names"] = [b"kernel"]
    file["a"].create_dataset("kernel", KERNEL.shape, "f4", external=[("secret.h5", 0, 6912)])


def virtual(file: Any) -> None:
    legacy(file, {"a": {}})
    file["a"].attrs["weight_names"] = [b"kernel"]
    layout = h5py.VirtualLayout(KERNEL.shape, "f4")
    layout[...] = h5py.VirtualSource("secret.h5", "x", KERNEL.shape)
    file["a"].create_virtual_dataset("kernel", layout)


def huge_claim(file: Any) -> None:
    legacy(file, {"a": {}})
    file["a"].attrs["weight_names"] = [b"kernel"]
    file["a"].create_dataset("kernel", (3, 3, 1 << 20, 1 << 20), "f4")  # 40 TB, none written


def huge_when_unpacked(file: Any) -> None:
    legacy(file, {"a": {}})
    file["a"].attrs["weight_names"] = [b"kernel"]
    file["a"].create_dataset("kernel", data=np.zeros((3, 3, 300, 300), "f4"), compression="gzip")


def objects(file: Any) -> None:
    legacy(file, {"a": {"kernel": KERNEL}})
    file["a"].attrs["weight_names"] = [b"kernel", b"names"]
    file["a"].create_dataset("names", data=["x"] * 64, dtype=h5py.string_dtype())


def arrays_for_groups(file: Any) -> None:
    file["layers"] = np.zeros(100)


def an_array_for_a_layer(file: Any) -> None:
    file.create_group("layers")["conv2d"] = np.zeros(100)


def no_names(file: Any) -> None:
    file.attrs["layer_names"] = np.zeros((3, 3))


def bad_number(file: Any) -> None:
    file["layers/conv2d/vars/zero"] = KERNEL


HOSTILE: list[tuple[Callable[[Any], None], str]] = [
    (external_link, "'kernel' is missing or is a link"),
    (soft_link, "'bias' is missing or is a link"),
    (linked_group, "'layers' is missing or is a link"),
    (external_storage, "'/a/kernel' is not stored contiguously in this file"),
    (virtual, "'/a/kernel' is not stored contiguously in this file"),
    (huge_claim, "'/a/kernel' claims more values than the file holds"),
    (huge_when_unpacked, "'/a/kernel' is not stored contiguously in this file"),
    (objects, "'/a/names' is not an array of floats"),
    (arrays_for_groups, "'layers' is an array, not a group"),
    (an_array_for_a_layer, "'conv2d' is an array, not a group"),
    (no_names, "the attribute layer_names is not a list of names"),
    (bad_number, "invalid literal"),
    (lambda file: None, "the attribute layer_names is missing"),
]


@pytest.mark.parametrize(("make", "message"), HOSTILE)
def test_files_that_are_not_read(make: Any, message: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = KERNEL
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        make(file)
    with pytest.raises(CnnlabError, match=message) as error:
        read_keras_file(tmp_path / "weights.h5")
    assert "weights.h5 as a Keras weight file: " in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with pytest.raises(CnnlabError, match=r"the weight file .*weights\.h5 does not exist"):
        read_keras_file(path)
    for content in (b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n" + bytes(500)):
        path.write_bytes(content)
        with pytest.raises(CnnlabError, match=r"weights\.h5 as a Keras weight file"):
            read_keras_file(path)


def test_a_damaged_file(tmp_path: Path) -> None:
    """With any byte changed or the end missing, the file is read or refused in one line."""
    path = tmp_path / "weights.h5"
    write(path, {"a": {"kernel": KERNEL, "bias": KERNEL[0, 0, 0]}})
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    outcomes = set()
    for place in rng.integers(0, len(content), 300):
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged if place % 3 else damaged[:place])
        try:
            read_keras_file(path)
            outcomes.add("read")
        except CnnlabError as error:
            outcomes.add("refused in one line" if "\n" not in str(error) else "refused")
    assert outcomes == {"read", "refused in one line"}


def test_plain_files_of_either_kind(tmp_path: Path) -> None:
    """Layers are ordered by number, not by letters; layers without weights are skipped."""
    path = write(tmp_path / "old.h5", {"b": {"b/k:0": KERNEL}, "p": {}, "a": {"k": KERNEL + 1}})
    layers = read_keras_file(path)
    assert [(layer.name, layer.kind, layer.weights[0].max()) for layer in layers] == [
        ("b", "convolution", 0),
        ("a", "convolution", 1),
    ]
    with h5py.File(tmp_path / "new.weights.h5", "w") as file:
        for number in (0, 1, 2, 10):
            name = f"conv2d_{number}" if number else "conv2d"
            file[f"layers/{name}/vars/0"] = KERNEL + number
        file["layers/dropout/vars/0"] = np.zeros(2, np.uint32)
        file["layers/dense/vars/0"] = np.zeros((4, 2), np.float64)
        file["layers/dense/vars/1"] = np.zeros(2, np.float16)
        file.create_group("layers/max_pooling2d")
    layers = read_keras_file(tmp_path / "new.weights.h5")
    assert [layer.name for layer in layers if layer.kind == "convolution"] == [
        *("conv2d", "conv2d_1", "conv2d_2", "conv2d_10"),
    ]
    (dense,) = [layer for layer in layers if layer.kind == "dense"]
    assert [weight.dtype for weight in dense.weights] == [np.float32, np.float32]
