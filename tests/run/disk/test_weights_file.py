"""Files of weights, as NumPy writes them, and damaged or hostile ones."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.run.disk.weights_file import npz_signatures, read_npz, weights_to_npz


def test_weights_file() -> None:
    weights = {"a/b": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.int64(3)}
    Path("w.npz").write_bytes(weights_to_npz(weights))
    with np.load("w.npz", allow_pickle=False) as file:
        assert {name: file[name].tolist() for name in file} == {
            "a/b": [[0, 1, 2], [3, 4, 5]],
            "step": 3,
        }
    assert {n: str(s) for n, s in npz_signatures(Path("w.npz")).items()} == {
        "a/b": "float32 [2, 3]",
        "step": "int64 []",
    }
    assert read_npz(Path("w.npz"), ["a/b"])["a/b"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert weights_to_npz(weights) == weights_to_npz(weights)


def encrypted(content: bytes) -> bytes:
    """Set the flag of encryption in every header of a zip file."""
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        parts = content.split(magic)
        parts[1:] = [
            part[: place - 4] + bytes([part[place - 4] | 1]) + part[place - 3 :]
            for part in parts[1:]
        ]
        content = magic.join(parts)
    return content


def test_a_hostile_weights_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    file = tmp_path / "w.npz"
    good = weights_to_npz({"a": np.arange(3, dtype=np.float32)})
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        member = archive.read("a.npy")
    header = member[:128]
    compressed = {}
    for kind in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", kind) as archive:
            archive.writestr("a.npy", header + np.random.default_rng(0).bytes(10_000))
        content = bytearray(packed.getvalue())
        content[60:90] = bytes(30)
        compressed[kind] = bytes(content)
    objects = io.BytesIO()
    np.savez(objects, a=np.array([{}]))
    hostile = {
        **compressed,
        "encrypted": encrypted(good),
        "wrong checksum": good.replace(member[-4:], b"abcd", 1),
        "objects": objects.getvalue(),
        "truncated": good[:100],
        "header": good.replace(b"descr", b"desc\xff"),
        "huge header": good.replace(b"\x76\x00", b"\xff\xff", 1),
        "no version": good.replace(b"NUMPY\x01", b"NUMPY\x09", 1),
    }

    def load() -> None:
        npz_signatures(file)
        read_npz(file, ["a"])

    for kind, content in hostile.items():
        file.write_bytes(content)
        with pytest.raises(CnnlabError, match=r"^weights .*w\.npz cannot be read: .") as error:
            load()
        assert "\n" not in str(error.value), kind


def test_a_member_without_the_suffix_is_not_an_array(tmp_path: Path) -> None:
    file = tmp_path / "w.npz"
    file.write_bytes(weights_to_npz({"a": np.arange(3, dtype=np.float32)}))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("a", b"other bytes")
    assert list(npz_signatures(file)) == ["a"]
    assert read_npz(file, ["a"])["a"].tolist() == [0, 1, 2]
