"""Arrays at addresses that TensorFlow can use without a copy."""

from pathlib import Path

import numpy as np
import pytest

from cnnlab.base.aligned import ALIGNMENT, aligned_empty
from cnnlab.base.tf1 import tf
from cnnlab.data.datasets import load_dataset
from tests.data import fakes
from tests.data.test_datasets import small


@pytest.mark.parametrize("shape", [(), (5,), (700, 28, 28, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_any_shape_begins_at_an_aligned_address(shape: tuple[int, ...], dtype: type) -> None:
    array = aligned_empty(shape, dtype)
    array[...] = 7
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.ctypes.data % ALIGNMENT == 0
    assert (array == 7).all()


def test_a_session_shares_aligned_memory() -> None:
    """A variable shows later changes of the array assigned to it, so nothing was copied."""
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.get_variable("v", [100], tf.uint8, tf.zeros_initializer(), use_resource=True)
        placeholder = tf.placeholder(tf.uint8, [100])
        array = aligned_empty((100,), np.uint8)
        array[:] = 1
        session.run(variable.assign(placeholder, read_value=False), {placeholder: array})
        array[:] = 2
        assert session.run(variable).tolist() == [2] * 100


def test_the_test_images_are_aligned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, data in small(monkeypatch, "cifar10").items():
        (tmp_path / name).write_bytes(data)
    test = load_dataset("cifar10", tmp_path).test
    assert len(test.labels) == fakes.RECORDS
    assert test.images.ctypes.data % ALIGNMENT == 0
