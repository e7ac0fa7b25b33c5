"""Hand-made bytes give exact pixels; files of a wrong size or format give clear errors."""

import io
import os
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.base.errors import DataError
from cnnlab.data.files import formats
from tests.data import fakes

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
IDX_IMAGES = bytes.fromhex("00000803 00000002 00000003 00000004") + bytes(range(24))
IDX_LABELS = bytes.fromhex("00000801 00000003") + bytes([5, 0, 9])


# CIFAR, binary


def test_cifar10_binary_gives_exact_pixels() -> None:
    records = formats.parse_cifar_binary(fakes.record(3) + bytes([9]) + bytes(3072), "f")
    images = formats.cifar_images(records)
    fakes.assert_is_the_record(images[0])
    assert not images[1].any()
    assert records[:, 0].tolist() == [3, 9]


def test_cifar100_binary_has_the_coarse_label_first() -> None:
    records = formats.parse_cifar_binary(fakes.record(19, 99), "f", label_bytes=2)
    assert records[0, :2].tolist() == [19, 99]
    fakes.assert_is_the_record(formats.cifar_images(records)[0])


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 2 * 3073 - 1])
def test_cifar_binary_with_a_partial_record_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"^a/b.bin: .*of 3073 bytes, found {size} bytes") as error:
        formats.parse_cifar_binary(bytes(size), "a/b.bin")
    fakes.assert_one_line(error)


def test_cifar_records_is_the_inverse_of_cifar_images() -> None:
    records = fakes.records_of(fakes.record(1, 2), bytes(3074))
    images = formats.cifar_images(records)
    assert (formats.cifar_records(images, records[:, 0], records[:, 1]) == records).all()


def test_label_out_of_range_names_file_index_value_and_range() -> None:
    with pytest.raises(
        DataError, match=r"^f\.bin: label 10 at index 2 is outside 0\.\.9;"
    ) as error:
        formats.check_labels(np.array([0, 9, 10, 11]), "f.bin", 10)
    fakes.assert_one_line(error)
    with pytest.raises(DataError, match="label -1 at index 0"):
        formats.check_labels(np.array([-1]), "f", 10)
    formats.check_labels(np.array([0, 9]), "f", 10)


# IDX


def test_idx_gives_exact_values_plain_and_gzipped_under_any_name() -> None:
    for data in (IDX_IMAGES, fakes.gzipped(IDX_IMAGES)):
        for name in ("f", "f.gz"):
            images = formats.parse_idx(data, name, ndim=3)
            assert images.dtype == np.uint8
            assert (images == IMAGES).all()
    assert formats.parse_idx(IDX_LABELS, "f", ndim=1).tolist() == [5, 0, 9]
    assert formats.idx_header((2, 3, 4)) == IDX_IMAGES[:16]


@pytest.mark.parametrize("pack", [bytes, fakes.gzipped])
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (IDX_IMAGES[:-1], r"expected 40 bytes \(its header says 2 x 3 x 4\), found 39 bytes"),
        (IDX_IMAGES + b"x", r"expected 40 bytes \(its header says 2 x 3 x 4\), found (41|more)"),
        (IDX_IMAGES[:15], "expected at least 16 bytes, found 15"),
        (IDX_IMAGES[:3], "begin with 00 00 08 03, found 00 00 08;"),
        (b"", "begin with 00 00 08 03, found nothing"),
        (IDX_LABELS, "begin with 00 00 08 03, found 00 00 08 01"),
        (b"\0\0\x0d\3" + IDX_IMAGES[4:], "found 00 00 0d 03"),
        (bytes.fromhex("00000803 00000000 00000003 00000004"), "found 0 bytes"),
    ],
)
def test_idx_of_a_wrong_size_or_format_is_refused(
    pack: Callable[[bytes], bytes], data: bytes, why: str
) -> None:
    with pytest.raises(DataError, match=f"^raw/t10k: .*{why}") as error:
        formats.parse_idx(pack(data), "raw/t10k", ndim=3)
    fakes.assert_one_line(error)


@pytest.mark.parametrize("pack", [bytes, fakes.gzipped])
def test_idx_that_claims_terabytes_is_refused_before_any_allocation(
    pack: Callable[[bytes], bytes],
) -> None:
    header = struct.pack(">I3I", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    with pytest.raises(DataError, match="f: expected"):
        formats.parse_idx(pack(header + b"x" * 100), "f", ndim=3)


@pytest.mark.slow
def test_gzip_that_unpacks_to_more_than_its_header_says_is_not_unpacked() -> None:
    bomb = fakes.gzipped(IDX_LABELS + bytes(300_000_000))  # 300 kB of gzip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="found more bytes"):
        formats.parse_idx(bomb, "f", ndim=1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_damaged_gzip_is_refused() -> None:
    packed = fakes.gzipped(IDX_IMAGES)
    broken_checksum = packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:]
    for data in (packed[:-1], packed[:20], broken_checksum, packed[:10] + b"\xff" * 30):
        with pytest.raises(DataError, match=r"^f: damaged gzip data"):
            formats.parse_idx(data, "f", ndim=3)


# npz


def test_npz_gives_exact_values() -> None:
    data = fakes.npz(x_train=IMAGES, y_train=np.array([3, 1]), x_test=np.asfortranarray(IMAGES))
    assert (formats.parse_npz(data, "f", key="x_train") == IMAGES).all()
    assert (formats.parse_npz(data, "f", key="x_test") == IMAGES).all()
    assert formats.parse_npz(data, "f", key="y_train").tolist() == [3, 1]


def test_npz_without_the_array_names_it() -> None:
    with pytest.raises(
        DataError, match=r"^mnist.npz: cannot read array 'x_test'.*download the file"
    ):
        formats.parse_npz(fakes.npz(x_train=IMAGES), "mnist.npz", key="x_test")


def test_npz_of_objects_is_refused_and_not_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    objects = np.array([fakes.Bomb(os.system, f"touch {trace}")], dtype=object)
    with pytest.raises(DataError, match="it holds object, not integers"):
        formats.parse_npz(fakes.npz(x=objects), "f", key="x")
    assert not trace.exists()


def test_npz_that_claims_terabytes_is_refused() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**12,)}
    )
    data = fakes.zipped("x.npy", header.getvalue() + b"abc")
    with pytest.raises(DataError, match="header says 1000000000000 bytes"):
        formats.parse_npz(data, "f", key="x")


def test_npz_whose_size_contradicts_its_header_is_refused() -> None:
    file = io.BytesIO()
    np.save(file, IMAGES)
    for content, why in (
        (file.getvalue()[:-1], "expected 24 bytes .* found 23"),
        (file.getvalue() + b"x", "expected 24 bytes .* found more"),
    ):
        with pytest.raises(DataError, match=why):
            formats.parse_npz(fakes.zipped("x.npy", content), "f", key="x")


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_of_damaged_compression_is_refused(kind: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr("x.npy", np.random.default_rng(0).bytes(10_000))
        archive.writestr("x", b"a member without the suffix is ignored")
    data = bytearray(file.getvalue())
    data[60:90] = bytes(30)
    with pytest.raises(DataError, match=r"^f: cannot read array 'x': .*; download") as error:
        formats.parse_npz(bytes(data), "f", key="x")
    fakes.assert_one_line(error)


# PNG sprites


def test_png_sprite_gives_exact_pixels() -> None:
    image = formats.cifar_images(fakes.records_of(fakes.record(0)))[0]
    sprite = np.stack([image.reshape(1024, 3), np.zeros((1024, 3), np.uint8)])
    images = formats.parse_png_sprite(fakes.png(Image.fromarray(sprite)), "f")
    assert images.shape == (2, 32, 32, 3)
    fakes.assert_is_the_record(images[0])
    assert not images[1].any()


@pytest.mark.parametrize("pack", [Image.new("L", (1024, 1)), Image.new("RGB", (1023, 1))])
def test_png_of_a_wrong_shape_is_refused(pack: Image.Image) -> None:
    with pytest.raises(DataError, match=r"^f: not a PNG sprite .* expected 1024 x n RGB"):
        formats.parse_png_sprite(fakes.png(pack), "f")


def test_png_that_claims_a_terabyte_is_refused_before_it_is_unpacked() -> None:
    data = bytearray(fakes.png(Image.new("RGB", (1024, 1))))
    data[20:24] = struct.pack(">I", 2**30)  # the height in IHDR
    with pytest.raises(DataError, match=r"^f: not a PNG sprite"):
        formats.parse_png_sprite(bytes(data), "f")


def test_label_list() -> None:
    assert formats.parse_label_list(b"[3, 0, 255]", "f").tolist() == [3, 0, 255]
    for data in (b"", b"{}", b"[256]", b"[-1]", b"[true]", b"[1.0]", b'["1"]', b"[" * 100_000):
        with pytest.raises(DataError, match=r"^f: not a JSON list of labels"):
            formats.parse_label_list(data, "f")
