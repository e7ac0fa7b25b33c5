"""The `shapes` data set: the same on every machine, fast to draw, balanced and not too easy."""

import hashlib
import time

import numpy as np
import pytest

from cnnlab.data.datasets import Dataset, load_dataset
from cnnlab.data.shapes import draw_shapes
from cnnlab.data.specs import DATASETS


@pytest.fixture(scope="module")
def shapes() -> Dataset:
    return load_dataset("shapes", "/nowhere")


def test_sizes_types_and_balance(shapes: Dataset) -> None:
    assert shapes.spec == DATASETS["shapes"]
    assert shapes.spec.num_classes == 10
    for split, n in ((shapes.train, 5000), (shapes.test, 1000)):
        assert split.images.shape == (n, 32, 32, 3)
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int32
        assert np.bincount(split.labels).tolist() == [n // 10] * 10


def test_pixels_are_the_same_on_every_machine(shapes: Dataset) -> None:
    digest = hashlib.sha256()
    for array in (shapes.train.images, shapes.train.labels, shapes.test.images, shapes.test.labels):
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    assert digest.hexdigest() == "04968a64678a879b6c828d9a032939947fdeeba99a6f5705c6809091a2bb05ab"


def test_order_is_random_and_no_test_image_is_in_train(shapes: Dataset) -> None:
    train = {image.tobytes() for image in shapes.train.images}
    assert len(train) == 5000
    assert not any(image.tobytes() in train for image in shapes.test.images)
    assert len(set(shapes.train.labels[:30].tolist())) > 5


@pytest.mark.slow
def test_drawing_takes_under_two_seconds() -> None:
    start = time.process_time()
    draw_shapes(6000, stream=0)
    assert time.process_time() - start < 2


@pytest.mark.slow
def test_pixels_are_neither_flat_nor_clipped(shapes: Dataset) -> None:
    images = shapes.train.images.astype(np.float32)
    assert 100 < images.mean() < 155
    assert images.std(axis=(1, 2, 3)).min() > 10
    assert np.isin(shapes.train.images, (0, 255)).mean() < 0.15


def test_a_linear_model_does_badly(shapes: Dataset) -> None:
    """Ridge regression on grey 16 x 16 images. Chance is 10%; a small CNN reaches over 80%."""

    def features(images: np.ndarray) -> np.ndarray:
        grey = images.reshape(len(images), 16, 2, 16, 2, 3).mean(axis=(2, 4, 5)).reshape(-1, 256)
        grey -= grey.mean(axis=1, keepdims=True)
        return np.hstack([grey, np.abs(grey), np.ones((len(grey), 1))])

    x, targets = features(shapes.train.images), np.eye(10)[shapes.train.labels]
    weights = np.linalg.solve(x.T @ x + 1e3 * np.eye(x.shape[1]), x.T @ targets)
    guesses = (features(shapes.test.images) @ weights).argmax(axis=1)
    accuracy = (guesses == shapes.test.labels).mean()
    assert accuracy < 0.3
