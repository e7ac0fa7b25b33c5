"""Parsers of the official file formats of CIFAR and MNIST, and of PNG sprites.

(`pickles` reads CIFAR's pickles.)

Every parser takes the bytes of one file, and the file's name for error messages. It checks sizes
before it allocates memory, and never runs code from a file. For wrong bytes it raises `DataError`
and nothing else.

    records: uint8 [n, label_bytes + 3072], the official binary layout of CIFAR. A record is the
        label (CIFAR-100: the coarse, then the fine label), then the red, green and blue planes.
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
_REPLACE: Final = "the data is damaged or belongs to another data set: replace it"
MAX_UNPACKED_BYTES: Final = 1 << 30  # larger than any real file of these formats
_CHUNK_BYTES: Final = 1 << 20
_GZIP_MAGIC: Final = b"\x1f\x8b"
_IDX_UNSIGNED_BYTE: Final = 8


def parse_cifar_binary(data: bytes, name: str, *, label_bytes: int = 1) -> Uint8Array:
    """View the bytes of a CIFAR binary file as records.

    Args:
        data: complete records, one after the other.
        name: the file's name in error messages.
        label_bytes: labels before each image: 1 (CIFAR-10) or 2 (CIFAR-100: coarse, fine).

    Returns:
        uint8 [n, label_bytes + 3072], n >= 1, a view of `data`.

    Raises:
        DataError: the size is not a positive multiple of the record size.
    """
    record_bytes = label_bytes + CIFAR_PIXEL_BYTES
    records, rest = divmod(len(data), record_bytes)
    if rest or not records:
        raise DataError(
            f"{name}: expected a whole number of records of {record_bytes} bytes, found "
            f"{len(data)} bytes ({records} records and {rest} more bytes); the file is truncated "
            f"or has another layout: download it again"
        )
    return np.frombuffer(data, np.uint8).reshape(records, record_bytes)


def cifar_images(records: Uint8Array) -> Uint8Array:
    """View records as images: uint8 [n, 32, 32, 3], not contiguous."""
    planes = records[:, -CIFAR_PIXEL_BYTES:].reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE)
    return planes.transpose(0, 2, 3, 1)


def cifar_records(images: Uint8Array, *labels: npt.ArrayLike) -> Uint8Array:
    """Make records from images [n, 32, 32, 3] and one or two arrays of labels [n] (0 to 255)."""
    planes = images.transpose(0, 3, 1, 2).reshape(-1, CIFAR_PIXEL_BYTES)
    records = np.empty((len(images), len(labels) + CIFAR_PIXEL_BYTES), np.uint8)
    for column, values in enumerate(labels):
        records[:, column] = values
    records[:, len(labels) :] = planes
    return records


def check_labels(
    labels: npt.NDArray[Any], name: str, num_classes: int, cure: str = _REPLACE
) -> None:
    """Raise DataError for the first label outside [0, num_classes), if there is one."""
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        raise DataError(
            f"{name}: label {int(labels[wrong[0]])} at index {int(wrong[0])} is outside "
            f"0..{num_classes - 1}; {cure}"
        )


def idx_header(shape: tuple[int, ...]) -> bytes:
    """Return the header of an IDX file of unsigned bytes with this shape."""
    return struct.pack(f">HBB{len(shape)}I", 0, _IDX_UNSIGNED_BYTE, len(shape), *shape)


def parse_idx(data: bytes, name: str, *, ndim: int) -> Uint8Array:
    """Read an IDX file of unsigned bytes, plain or gzipped; its first bytes tell which.

    Args:
        data: the file.
        name: the file's name in error messages.
        ndim: 3 for images [n, height, width], 1 for labels [n].

    Returns:
        uint8 array of `ndim` dimensions, all of them positive.

    Raises:
        DataError: wrong magic number, a size that contradicts the header, or damaged compression.
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
                    f"{name}: not an IDX file of unsigned bytes in {ndim} dimensions: it must "
                    f"begin with 00 00 08 0{ndim}, found {header[:4].hex(' ') or 'nothing'}; "
                    f"download it again"
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
            body = read_at_most(file, size + 1)  # one byte more, to detect a longer file
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{name}: damaged gzip data ({one_line(error)}); download it again"
            ) from None
        if len(body) != size:
            found = f"{'more' if len(body) > size else header_bytes + len(body)} bytes"
            raise DataError(_size_message(name, expected, found))
        return np.frombuffer(body, np.uint8).reshape(shape)


def parse_npz(data: bytes, name: str, *, key: str) -> npt.NDArray[Any]:
    """Read one array of integers from an .npz archive; refuse arrays of Python objects.

    Args:
        data: the archive.
        name: the file's name in error messages.
        key: name of the array, such as "x_train".

    Returns:
        the array, with any integer dtype and any shape; never empty.

    Raises:
        DataError: the array is missing, not of integers, or its size contradicts its header.
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
    except Exception as error:  # a damaged archive can raise a dozen kinds
        raise DataError(
            f"{name}: cannot read array {key!r}: {one_line(error)}; download the file again"
        ) from None


def parse_png_sprite(data: bytes, name: str) -> Uint8Array:
    """Read a PNG whose every row holds one CIFAR image: the image's rows, 1024 RGB pixels in all.

    Returns:
        uint8 [n, 32, 32, 3], where n >= 1 is the height of the PNG.

    Raises:
        DataError: the PNG is damaged, or not RGB with a width of 1024.
    """
    from PIL import Image  # not needed for the official files

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as sprite:
            # Checked before the pixels are unpacked.
            if sprite.mode != "RGB" or sprite.width != CIFAR_SIDE**2 or sprite.height > 60000:
                raise ValueError(
                    f"expected 1024 x n RGB, found {sprite.width} x {sprite.height} {sprite.mode}"
                )
            return np.array(sprite).reshape(-1, CIFAR_SIDE, CIFAR_SIDE, 3)
    except Exception as error:  # Pillow names no single exception for damaged files
        raise DataError(
            f"{name}: not a PNG sprite of CIFAR images: {one_line(error)}; download it again"
        ) from None


def parse_label_list(data: bytes, name: str) -> npt.NDArray[np.int64]:
    """Read a JSON list of labels: int64 [n], each in [0, 255].

    Raises:
        DataError: the file is anything else.
    """
    try:
        labels = json.loads(data)
        if not isinstance(labels, list) or not all(
            type(x) is int and 0 <= x <= 255 for x in labels
        ):
            raise ValueError("expected a list of labels")
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{name}: not a JSON list of labels: {one_line(error)}; download it again"
        ) from None
    return np.array(labels, np.int64)


def read_at_most(file: io.BytesIO | gzip.GzipFile | IO[bytes], size_bytes: int) -> bytearray:
    """Read up to `size_bytes` in pieces, so that memory grows only with the actual data."""
    body = bytearray()
    while len(body) < size_bytes and (
        chunk := file.read(min(_CHUNK_BYTES, size_bytes - len(body)))
    ):
        body += chunk
    return body


def _size_message(name: str, expected: str, found: str) -> str:
    return (
        f"{name}: expected {expected}, found {found}; "
        f"the file is truncated or damaged: download it again"
    )


def one_line(error: Exception) -> str:
    """Return the message of any error as one line of bounded length."""
    return " ".join(str(error).split())[:200] or type(error).__name__
