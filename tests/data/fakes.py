"""Small fakes of the official files: the same names and layouts, with a few records each."""

import hashlib
import io
import pickle
import struct

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cnnlab.base.errors import DataError
from cnnlab.data.specs import OFFICIAL_FILES, OfficialFile
from scripts.safety.fakes import (  # noqa: F401 (the tests use them from here)
    RECORDS,
    Bomb,
    fake_files,
    gzipped,
    npz,
    tar_gz,
    write_files,
    zipped,
)


def official_table(name: str, files: dict[str, bytes]) -> tuple[OfficialFile, ...]:
    """Make the table of the fake files that corresponds to OFFICIAL_FILES."""
    return tuple(
        official._replace(
            shape=(RECORDS, *official.shape[1:]),
            sha256=hashlib.sha256(files[official.name]).hexdigest(),
        )
        for official in OFFICIAL_FILES[name]
    )


def python_layout(records: npt.NDArray[np.uint8], protocol: int = 4) -> bytes:
    """Make the python layout of records with Python 3's pickle."""
    batch: dict[str, object] = {"data": np.ascontiguousarray(records[:, -3072:])}
    if records.shape[1] == 3074:
        batch["coarse_labels"] = records[:, 0].tolist()
        batch["fine_labels"] = records[:, 1].tolist()
    else:
        batch["labels"] = records[:, 0].tolist()
    return pickle.dumps(batch, protocol)


def python2_layout(records: npt.NDArray[np.uint8]) -> bytes:
    """Make the python layout of records with the opcodes that Python 2 wrote officially."""
    rows = len(records)
    pixels = records[:, 1:].tobytes()
    return b"".join(
        (
            b"\x80\x02}q\x01(",  # protocol 2, a dict
            b"U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03",
            b"U\x06labelsq\x04]q\x05(" + b"".join(b"K%c" % label for label in records[:, 0]) + b"e",
            b"U\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07",
            b"cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09",
            b"(K\x01M" + struct.pack("<H", rows) + b"M\x00\x0c\x86",  # version, (rows, 3072)
            b"cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b",
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"\x89T" + struct.pack("<i", len(pixels)) + pixels + b"tb",  # not Fortran, bytes
            b"U\x09filenamesq\x0c]q\x0d(" + b"U\x05a.png" * rows + b"eu.",
        )
    )


def record(*labels: int) -> bytes:
    """Make a record in which red is the row, green is the column, and blue is 200."""
    rows = bytes(row for row in range(32) for _ in range(32))
    columns = bytes(column for _ in range(32) for column in range(32))
    return bytes(labels) + rows + columns + bytes([200]) * 1024


def assert_is_the_record(image: npt.NDArray[np.uint8]) -> None:
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.uint8
    for row in range(32):
        for column in range(32):
            assert image[row, column].tolist() == [row, column, 200]


def records_of(*parts: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(parts), np.uint8).reshape(len(parts), -1)


def assert_one_line(error: pytest.ExceptionInfo[DataError]) -> None:
    assert "\n" not in str(error.value)


def png(image: Image.Image) -> bytes:
    """Make a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
