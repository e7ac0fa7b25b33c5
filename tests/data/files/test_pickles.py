"""CIFAR's python layout gives exact pixels, and pickles that would run code are refused."""

import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import DataError
from cnnlab.data.files import formats
from cnnlab.data.files.pickles import parse_cifar_pickle
from tests.data import fakes


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickle_of_python3_gives_exact_pixels(protocol: int) -> None:
    data = fakes.python_layout(fakes.records_of(fakes.record(7), fakes.record(0)), protocol)
    records = parse_cifar_pickle(data, "f")
    assert records[:, 0].tolist() == [7, 0]
    fakes.assert_is_the_record(formats.cifar_images(records)[1])


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickle_with_keys_of_bytes_gives_exact_pixels(protocol: int) -> None:
    """As `pickle.dump` writes what Python 3 read from an official file with encoding="bytes"."""
    records = fakes.records_of(fakes.record(3), fakes.record(9))
    batch = {b"labels": [3, 9], b"data": np.ascontiguousarray(records[:, 1:]), b"batch_label": b"x"}
    parsed = parse_cifar_pickle(pickle.dumps(batch, protocol), "f")
    np.testing.assert_array_equal(parsed, records)


def test_pickle_of_python2_gives_exact_pixels() -> None:
    records = parse_cifar_pickle(
        fakes.python2_layout(fakes.records_of(fakes.record(7), fakes.record(2))), "f"
    )
    assert records.shape == (2, 3073)
    assert records[:, 0].tolist() == [7, 2]
    fakes.assert_is_the_record(formats.cifar_images(records)[0])


def test_pickle_itself_reads_the_python2_fake() -> None:
    batch = pickle.loads(fakes.python2_layout(fakes.records_of(fakes.record(7))), encoding="bytes")
    assert batch[b"labels"] == [7]
    assert batch[b"data"].tobytes() == fakes.record(7)[1:]


def test_pickle_of_cifar100_has_the_coarse_label_first() -> None:
    data = fakes.python_layout(fakes.records_of(fakes.record(19, 99)))
    records = parse_cifar_pickle(data, "f", label_keys=("coarse_labels", "fine_labels"))
    assert records[0].tobytes() == fakes.record(19, 99)


def test_pickle_of_a_fortran_array_is_not_scrambled() -> None:
    pixels = np.asfortranarray(fakes.records_of(fakes.record(1), fakes.record(2))[:, 1:])
    for protocol in (2, 5):
        data = pickle.dumps({"data": pixels, "labels": [1, 2]}, protocol)
        assert (parse_cifar_pickle(data, "f")[:, 1:] == pixels).all()


@pytest.mark.parametrize(
    ("function", "global_name"),
    [(os.system, "posix.system"), (eval, "builtins.eval")],
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickle_that_would_run_code_is_refused_and_not_run(
    function: Callable[..., Any], global_name: str, protocol: int, tmp_path: Path
) -> None:
    trace = tmp_path / "ran"
    command = f"open({str(trace)!r}, 'w')" if function is eval else f"touch {trace}"
    data = pickle.dumps({"data": fakes.Bomb(function, command), "labels": [1]}, protocol)
    name = global_name.replace("builtins", "__builtin__") if protocol < 3 else global_name
    with pytest.raises(DataError, match=rf"^data_batch_1: .*refers to '{name}'") as error:
        parse_cifar_pickle(data, "data_batch_1")
    assert not trace.exists()
    fakes.assert_one_line(error)


@pytest.mark.parametrize(
    "name", ["numpy\nload", "numpy\nfromfile", "numpy.core.multiarray\nfromfile"]
)
def test_pickle_that_refers_to_other_numpy_functions_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="refers to 'numpy"):
        parse_cifar_pickle(f"c{name}\n(S'/etc/passwd'\ntR.".encode(), "f")


def test_pickle_with_a_huge_memo_index_takes_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="memo index of 1073741824"):
        parse_cifar_pickle(b"\x80\x02}r\x00\x00\x00\x40.", "f")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        ([], "holds no dict"),
        ({"labels": [1]}, "no entry 'data'"),
        ({"data": np.zeros((1, 3072), np.uint8)}, "no entry 'labels'"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, "labels is not a list of 2"),
        ({"data": np.zeros((1, 3071), np.uint8), "labels": [1]}, r"shape \[1, 3071\]"),
        (
            {"data": np.zeros((0, 3072), np.uint8), "labels": []},
            r"shape \[0, 3072\]|builtin__.bytes",
        ),
        ({"data": np.zeros(3072, np.uint8), "labels": [1]}, r"shape \[3072\]"),
        ({"data": np.zeros((1, 3072), np.int8), "labels": [1]}, "unsigned bytes"),
        ({"data": b"x" * 3072, "labels": [1]}, "not an array"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [256]}, r"labels\[0\] is 256"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [1.5]}, r"labels\[0\] is 1.5"),
    ],
)
def test_pickle_that_is_no_cifar_batch_is_refused(batch: object, why: str) -> None:
    for protocol in (2, 5):
        with pytest.raises(DataError, match=why) as error:
            parse_cifar_pickle(pickle.dumps(batch, protocol), "f")
        fakes.assert_one_line(error)


def test_truncated_pickle_is_refused() -> None:
    data = fakes.python2_layout(fakes.records_of(fakes.record(7)))
    for size in (0, 1, 40, len(data) // 2, len(data) - 1):
        with pytest.raises(DataError, match=r"^f: not a plain CIFAR pickle"):
            parse_cifar_pickle(data[:size], "f")
