"""Bytes to uint8 arrays: the official file formats of CIFAR and MNIST, and PNG sprites.

(CIFAR's pickles have a file of their own: `pickles`.)

Every parser takes the bytes of one file and the name to call it by in messages. It checks the bytes
before it trusts them, allocates no more than the file itself accounts for, runs nothing that a file
asks for, and raises `DataError` and nothing else when they are not what they claim to be.

    records: uint8 [n, label_bytes + 3072]. The official binary layout of CIFAR: the label
        (CIFAR-100: the coarse, then the fine label), then the red, the green and the blue plane.
"""

import gzip
import io
import json
import math
import struct
import zipfile
import zlib
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError

Uint8Array = npt.NDArray[np.uint8]

CIFAR_SIDE: Final = 32  # pixels
CIFAR_PIXEL_BYTES: Final = 3 * CIFAR_SIDE * CIFAR_SIDE
MAX_UNPACKED_BYTES: Final = 1 << 30  # no compressed file of this kind is honestly larger
_CHUNK_BYTES: Final = 1 << 20
_GZIP_MAGIC: Final = b"\x1f\x8b"
_IDX_UNSIGNED_BYTE: Final = 8


def parse_cifar_binary(data: bytes, name: str, *, label_bytes: int = 1) -> Uint8Array:
    """View the bytes of a CIFAR binary file as records.

    Args:
        data: whole records, one after the other.
        name: what messages call the file.
        label_bytes: labels before each image: 1 (CIFAR-10) or 2 (CIFAR-100: coarse, fine).

    Returns:
        uint8 [n, label_bytes + 3072], n >= 1, a view of `data`.

    Raises:
        DataError: the size is not a whole number (>= 1) of records.
    """
    record_bytes = label_bytes + CIFAR_PIXEL_BYTES
    records, rest = divmod(len(data), record_bytes)
    if rest or not records:
        raise DataError(
            f"{name}: expected a whole number of records of {record_bytes} bytes, found "
            f"{len(data)} bytes ({records} records and {rest} bytes over); the file is truncated "
            f"or of another layout: get it again"
        )
    return np.frombuffer(data, np.uint8).reshape(records, record_bytes)


def cifar_images(records: Uint8Array) -> Uint8Array:
    """View records as images: uint8 [n, 32, 32, 3], not contiguous."""
    planes = records[:, -CIFAR_PIXEL_BYTES:].reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE)
    return planes.transpose(0, 2, 3, 1)


def cifar_records(images: Uint8Array, *labels: npt.ArrayLike) -> Uint8Array:
    """Make records of images [n, 32, 32, 3] and the labels [n] (in [0, 255]) before each."""
    planes = images.transpose(0, 3, 1, 2).reshape(-1, CIFAR_PIXEL_BYTES)
    records = np.empty((len(images), len(labels) + CIFAR_PIXEL_BYTES), np.uint8)
    for column, values in enumerate(labels):
        records[:, column] = values
    records[:, len(labels) :] = planes
    return records


def check_labels(labels: npt.NDArray[Any], name: str, num_classes: int) -> None:
    """Raise DataError, naming the first offender, unless every label is in [0, num_classes)."""
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        raise DataError(
            f"{name}: label {int(labels[wrong[0]])} at index {int(wrong[0])} is outside "
            f"0..{num_classes - 1}; the file is damaged or belongs to another data set"
        )


def idx_header(shape: tuple[int, ...]) -> bytes:
    """Return the header of an IDX file of unsigned bytes of this shape."""
    return struct.pack(f">HBB{len(shape)}I", 0, _IDX_UNSIGNED_BYTE, len(shape), *shape)


def parse_idx(data: bytes, name: str, *, ndim: int) -> Uint8Array:
    """Read an IDX file of unsigned bytes, plain or gzipped, as its first bytes (not its name) say.

    Args:
        data: the file.
        name: what messages call the file.
        ndim: 3 for images [n, height, width], 1 for labels [n].

    Returns:
        uint8 array of `ndim` dimensions, none of them 0.

    Raises:
        DataError: another magic number, a size other than the header says, or damaged compression.
    """
    header_bytes = 4 + 4 * ndim
    with io.BytesIO(data) as plain:
        file: io.BytesIO | gzip.GzipFile = plain
        if data[:2] == _GZIP_MAGIC:
            file = gzip.GzipFile(fileobj=plain)
        try:
            header = file.read(header_bytes)
            if header[:4] != bytes((0, 0, _IDX_UNSIGNED_BYTE, ndim)):
                raise DataError(
                    f"{name}: not an IDX file of unsigned bytes in {ndim} dimensions: expected it "
                    f"to begin with 00 00 08 0{ndim}, found {header[:4].hex(' ') or 'nothing'}; "
                    f"get the file again"
                )
            if len(header) < header_bytes:
                raise DataError(
                    _size_message(name, f"at least {header_bytes} bytes", f"{len(header)} bytes")
                )
            shape = struct.unpack(f">{ndim}I", header[4:])
            size = math.prod(shape)
            expected = (
                f"{header_bytes + size} bytes (its header says {' x '.join(map(str, shape))})"
            )
            if file is plain and header_bytes + size != len(data):
                raise DataError(_size_message(name, expected, f"{len(data)} bytes"))
            if not size or size > MAX_UNPACKED_BYTES:
                raise DataError(
                    _size_message(name, f"1 to {MAX_UNPACKED_BYTES} bytes of data", f"{size} bytes")
                )
            if file is plain:
                return np.frombuffer(data, np.uint8, offset=header_bytes).reshape(shape)
            body = read_at_most(file, size + 1)  # one more, to see that it ends where it should
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{name}: damaged gzip data ({one_line(error)}); get the file again"
            ) from None
        if len(body) != size:
            found = f"{'more' if len(body) > size else header_bytes + len(body)} bytes"
            raise DataError(_size_message(name, expected, found))
        return np.frombuffer(body, np.uint8).reshape(shape)


def parse_npz(data: bytes, name: str, *, key: str) -> npt.NDArray[Any]:
    """Read one array of integers from an .npz archive; arrays of Python objects are refused.

    Args:
        data: the archive.
        name: what messages call the file.
        key: name of the array, such as "x_train".

    Returns:
        the array, of whatever integer dtype and shape it has; never empty.

    Raises:
        DataError: no such array, not integers, or a size other than its header says.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(f"{key}.npy") as file:
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, is_fortran, dtype = read_header(file)
            if dtype.kind not in "iu":
                raise ValueError(f"it holds {dtype}, not integers")
            size = math.prod(shape) * dtype.itemsize
            if not 0 < size <= MAX_UNPACKED_BYTES:
                raise ValueError(
                    f"its header says {size} bytes, expected 1 to {MAX_UNPACKED_BYTES}"
                )
            body = read_at_most(file, size + 1)
            if len(body) != size:
                found = "more" if len(body) > size else len(body)
                raise ValueError(f"expected {size} bytes (its header says {shape}), found {found}")
            return np.frombuffer(body, dtype).reshape(shape, order="F" if is_fortran else "C")
    except Exception as error:  # a damaged archive can raise any of a dozen
        raise DataError(
            f"{name}: cannot read array {key!r}: {one_line(error)}; get the file again"
        ) from None


def parse_png_sprite(data: bytes, name: str) -> Uint8Array:
    """Read a PNG of which each row is one CIFAR image: 1024 RGB pixels, row by row of the image.

    Returns:
        uint8 [n, 32, 32, 3], n >= 1 the height of the PNG.

    Raises:
        DataError: damaged, or not 1024 RGB pixels wide.
    """
    from PIL import Image  # not needed where the official files can be had

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as sprite:
            # Looked at before the pixels are unpacked.
            if sprite.mode != "RGB" or sprite.width != CIFAR_SIDE**2 or sprite.height > 60000:
                raise ValueError(
                    f"expected 1024 x n RGB, found {sprite.width} x {sprite.height} {sprite.mode}"
                )
            return np.array(sprite).reshape(-1, CIFAR_SIDE, CIFAR_SIDE, 3)
    except Exception as error:  # Pillow names no single exception for damaged files
        raise DataError(
            f"{name}: not a PNG sprite of CIFAR images: {one_line(error)}; get it again"
        ) from None


def parse_label_list(data: bytes, name: str) -> npt.NDArray[np.int64]:
    """Read a JSON list of labels: int64 [n], each in [0, 255].

    Raises:
        DataError: it is anything else.
    """
    try:
        labels = json.loads(data)
        if not isinstance(labels, list) or not all(
            type(x) is int and 0 <= x <= 255 for x in labels
        ):
            raise ValueError("expected a list of labels")
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name}: not a JSON list of labels: {one_line(error)}; get it again"
        ) from None
    return np.array(labels, np.int64)


def read_at_most(file: io.BytesIO | gzip.GzipFile | IO[bytes], size_bytes: int) -> bytearray:
    """Read to the end, or `size_bytes`, in pieces: memory follows what is there, not the claim."""
    body = bytearray()
    while len(body) < size_bytes and (
        chunk := file.read(min(_CHUNK_BYTES, size_bytes - len(body)))
    ):
        body += chunk
    return body


def _size_message(name: str, expected: str, found: str) -> str:
    return (
        f"{name}: expected {expected}, found {found}; "
        f"the file is truncated or damaged: get it again"
    )


def one_line(error: Exception) -> str:
    """Return the message of any error as one line of bounded length."""
    return " ".join(str(error).split())[:200] or type(error).__name__
