"""Data sets from `tf.data` and from functions: read once, in order, exactly."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError, DataError
from cnnlab.base.tf1 import tf, tf2
from cnnlab.data import from_streams
from cnnlab.data.arrays import dataset_from_arrays, dataset_of
from tests import small_run

(IMAGES, LABELS), TEST = small_run.arrays()


def slices(*arrays: Any) -> Any:
    return tf2.data.Dataset.from_tensor_slices(arrays)


def in_a_graph() -> Any:
    with tf.Graph().as_default():
        return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))


def batches() -> Any:
    return slices(IMAGES, LABELS).batch(6)


def in_a_graph_in_batches() -> Any:
    with tf.Graph().as_default():
        return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(7)


def one_by_one() -> Iterator[Any]:
    yield from zip(IMAGES, LABELS, strict=True)


def from_generator() -> Any:
    signature = (tf2.TensorSpec((8, 8, 3), tf2.uint8), tf2.TensorSpec((), tf2.int64))
    return tf2.data.Dataset.from_generator(one_by_one, output_signature=signature)


@pytest.mark.parametrize(
    "make",
    [
        lambda: slices(IMAGES, LABELS),
        in_a_graph,
        batches,
        in_a_graph_in_batches,
        from_generator,
        lambda: one_by_one,
        lambda: lambda: ((IMAGES[i : i + 3], LABELS[i : i + 3]) for i in range(0, 20, 3)),
    ],
    ids=["eager", "graph", "batches", "graph batches", "from_generator", "function", "list"],
)
def test_every_image_is_read_once_in_order(make: Any) -> None:
    data = dataset_from_arrays(make(), TEST)
    assert data.train.images.dtype == np.uint8
    assert np.array_equal(data.train.images, IMAGES)
    assert data.train.labels.tolist() == LABELS.tolist()


def test_elements_may_have_weights_names_and_any_range() -> None:
    weights = np.arange(20) / 10
    names = np.array(["a", "b", "c", "d"])[LABELS]
    floats = IMAGES.astype(np.float32) / 255
    test = (TEST[0] / 255, np.array(["a", "b", "c", "d"])[TEST[1]])
    data = dataset_from_arrays(slices(floats, names, weights), test, image_range=(0, 1))
    assert data.spec.class_names == ("a", "b", "c", "d")
    assert data.train.weights is not None
    np.testing.assert_allclose(data.train.weights, weights, rtol=1e-6)
    assert np.array_equal(data.train.images, floats)


@pytest.mark.slow
def test_a_run_on_a_stream_is_the_run_on_its_arrays(tmp_path: Path) -> None:
    ends = []
    for name, train in (("stream", slices(IMAGES, LABELS)), ("arrays", (IMAGES, LABELS))):
        with small_run.make(tmp_path / name, small_run.linear, (train, TEST), steps=4) as run:
            run.train()
            ends.append(small_run.variables(run))
            assert run.evaluate(lambda: one_by_one())["n"] == 20
    small_run.assert_same_bits(*ends)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (lambda: slices(IMAGES, LABELS).repeat(), "is an infinite tf.data.Dataset; leave out repe"),
        (lambda: slices(IMAGES), r"yields tuple, expected \(image, label\)$"),
        (
            lambda: tf2.data.Dataset.from_tensor_slices({"image": IMAGES, "label": LABELS}),
            r"yields a mapping of image, label, expected \(image, label\); .*dataset\.map",
        ),
        (lambda: lambda: iter([(IMAGES[0], 0), (IMAGES[0, :4], 1)]), r"element 1 has the shape"),
        (lambda: lambda: iter([(IMAGES[0], 0), (IMAGES[0], 1, 2)]), "element 1 has 3 parts"),
        (lambda: lambda: iter([]), "yields nothing"),
        (lambda: lambda: 3, "is a function that returns no iterator of .*int"),
        (lambda: one_by_one(), "is an iterator, which can be read only once; give the function"),
        (lambda: slices(IMAGES / 255, LABELS), "train images are float64, .*image_range="),
    ],
)
def test_other_streams_are_refused(given: Any, why: str) -> None:
    with pytest.raises(DataError, match=why) as error:
        dataset_from_arrays(given(), TEST)
    assert "\n" not in str(error.value)


def test_an_infinite_function_ends_at_half_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_streams, "memory_bytes", lambda: 2 * 10 * (192 + 8))

    def forever() -> Iterator[Any]:
        while True:
            yield IMAGES[0], LABELS[0]

    with pytest.raises(DataError, match=r"more than 0\.0 GB after 10 elements, half of the mem"):
        dataset_of((forever, TEST))


def test_a_dataset_that_fails_is_one_line() -> None:
    broken = slices(IMAGES, LABELS).map(lambda image, label: (image, 1 // (label - 2)))
    with pytest.raises(CnnlabError, match=r"the train data: .*division by zero") as error:
        dataset_from_arrays(broken, TEST)
    assert "\n" not in str(error.value)
