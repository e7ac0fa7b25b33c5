"""For any bytes, a parser returns an array or raises DataError, and nothing else."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from cnnlab.base.errors import DataError
from cnnlab.data.files import formats
from cnnlab.data.files.pickles import parse_cifar_pickle
from tests.data import fakes

IDX_IMAGES = formats.idx_header((2, 3, 4)) + bytes(range(24))
IDX_LABELS = formats.idx_header((3,)) + bytes([5, 0, 9])

PARSERS: dict[str, Callable[[bytes], Any]] = {
    "binary": lambda data: formats.parse_cifar_binary(data, "f"),
    "pickle": lambda data: parse_cifar_pickle(data, "f"),
    "idx": lambda data: formats.parse_idx(data, "f", ndim=3),
    "labels": lambda data: formats.parse_idx(data, "f", ndim=1),
    "npz": lambda data: formats.parse_npz(data, "f", key="x"),
    "png": lambda data: formats.parse_png_sprite(data, "f"),
    "json": lambda data: formats.parse_label_list(data, "f"),
}
GOOD: dict[str, bytes] = {
    "binary": fakes.record(1),
    "pickle": fakes.python2_layout(fakes.records_of(fakes.record(1))),
    "idx": IDX_IMAGES,
    "labels": fakes.gzipped(IDX_LABELS),
    "npz": fakes.npz(x=np.zeros((2, 3), np.uint8)),
    "png": fakes.png(Image.new("RGB", (1024, 2))),
    "json": json.dumps([1, 2, 3]).encode(),
}


@pytest.mark.parametrize("kind", PARSERS)
@given(data=st.binary(max_size=4000))
@example(data=b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.")  # claims 2**63 - 1 bytes
@example(data=b"\x80\x02}r\xff\xff\xff\x7f.")
@example(data=b"}(I1\nI2\nuR.")
def test_any_bytes_give_an_array_or_data_error(kind: str, data: bytes) -> None:
    with contextlib.suppress(DataError):
        assert isinstance(PARSERS[kind](data), np.ndarray)


@pytest.mark.parametrize("kind", PARSERS)
@given(
    edits=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 9),
)
@pytest.mark.slow
def test_damaged_good_bytes_give_an_array_or_data_error(
    kind: str, edits: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(GOOD[kind])
    for position, value in edits:
        data[position % len(data)] = value
    if cut > 5:
        del data[-cut:]
    with contextlib.suppress(DataError):
        assert isinstance(PARSERS[kind](bytes(data)), np.ndarray)


@pytest.mark.parametrize("kind", PARSERS)
def test_undamaged_bytes_are_parsed(kind: str) -> None:
    assert PARSERS[kind](GOOD[kind]).size > 0


def test_the_data_layer_does_not_import_tensorflow() -> None:
    code = (
        "import sys, cnnlab.data.datasets as d;"
        "d.load_dataset('shapes', '.');"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
