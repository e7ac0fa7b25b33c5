"""Data sets made from arrays, and the validation split."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.base.errors import DataError, UsageError
from cnnlab.data.arrays import dataset_from_arrays, dataset_of
from cnnlab.data.datasets import Split, split_validation, validation_size

IMAGES = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


def test_arrays_make_a_data_set() -> None:
    data = dataset_from_arrays((IMAGES, [0, 2]), (IMAGES[:1], np.array([[1]], np.uint8)))
    assert data.spec.name == "arrays"
    assert data.spec.image_shape == (4, 5, 3)
    assert data.spec.class_names == ("0", "1", "2")
    assert (data.spec.num_train, data.spec.num_test) == (2, 1)
    assert data.train.labels.dtype == np.int32
    assert data.test.labels.tolist() == [1]
    assert (data.train.images == IMAGES).all()


def test_images_without_a_channel_axis_get_one_channel() -> None:
    data = dataset_from_arrays(
        (IMAGES[..., 0], [0, 1]), (IMAGES[..., 0], [0, 1]), ["cat", "dog"], name="pets"
    )
    assert data.spec.image_shape == (4, 5, 1)
    assert data.spec.class_names == ("cat", "dog")
    assert data.spec.name == "pets"


@pytest.mark.parametrize(
    ("images", "labels", "why"),
    [
        (
            IMAGES / 255,
            [0, 1],
            r"train images are float64, .*range=\(0, 1\)\), .*\(images \* 255\)",
        ),
        (IMAGES / 1.0, [0, 1], r"in 0..255, convert them with images\.round\(\)\.astype"),
        (IMAGES / 127.5 - 1, [0, 1], r"-1..\S+; state their range, .*image_range=\(-1, 1\)\)"),
        (
            IMAGES - np.int64(7),
            [0, 1],
            r"int64, .*they are in -7..112; .*\(-7, 112\)\), or undo what",
        ),
        (IMAGES * np.int64(3), [0, 1], r"int64, .*in 0..357. .*range=\(0, 65535\)\), or .*// 257"),
        (
            IMAGES.astype(np.uint16),
            [0, 1],
            r"uint16, .*65535, .*257.*; if white is 255, with im",
        ),
        (IMAGES > 9, [0, 1], r"are bool, .*if True is white, .*astype\('uint8'\) \* 255"),
        (IMAGES * np.nan, [0, 1], r"float64, .*some are not finite; repair them first"),
        (IMAGES.astype(object), [0, 1], "object, .*: make them an array of such numbers"),
        ([IMAGES[0], IMAGES[0, :2]], [0, 1], "the train images are no array: give all .*one shape"),
        (IMAGES.reshape(2, -1), [0, 1], r"shape \(2, 60\), expected \[n, height, width\]"),
        (IMAGES.transpose(0, 3, 1, 2), [0, 1], r"shape \(2, 3, 4, 5\), expected"),
        (IMAGES[:, :0], [0, 1], r"shape \(2, 0, 5, 3\), expected"),
        (IMAGES, [0.0, 1.0], r"train labels are float64 .*astype\('int64'\); .*targets='values'"),
        (IMAGES, [[0, 2], [1, 1]], r"train labels are int64 of shape \(2, 2\).*targets='values'"),
        (IMAGES, [0.5, np.nan], r"train labels: the label at index 1 is \[nan\], not finite"),
        (IMAGES, ["cat", None], "objects of different types; the label at index 1 is None"),
        (IMAGES, [None, None], "train labels are object"),
        (IMAGES, np.zeros((2, 1, 1), int), r"train labels are int64 of shape \(2, 1, 1\)"),
        (IMAGES, ["cow", "dog"], "train labels: no class cow, dog; the classes are a, b, c"),
        (IMAGES, np.eye(2, dtype=int), r"expected one-hot rows \[n, 3\] or integers"),
        (IMAGES, [0], "train has 2 images and 1 labels"),
        (IMAGES[:0], np.zeros(0, int), "train has 0 images and 0 labels"),
        (
            IMAGES,
            [0, 3],
            r"train labels: label 3 at index 1 is outside 0\.\.2; number the classes ",
        ),
        (IMAGES, [-1, 0], r"train labels: label -1 at index 0 is outside"),
        (IMAGES, [0, 2**40], r"train labels: label 1099511627776 at index 1 is outside"),
        (IMAGES[:, :3], [0, 1], r"test images have shape \(2, 4, 5, 3\), expected \[n, 3, 5, 3\]"),
    ],
)
def test_wrong_arrays_raise_data_error(images: Any, labels: Any, why: str) -> None:
    with pytest.raises(DataError, match=why) as error:
        dataset_from_arrays((images, labels), (IMAGES, [0, 1]), class_names=["a", "b", "c"])
    assert "\n" not in str(error.value)


def test_wide_integers_of_pixels_are_accepted() -> None:
    data = dataset_from_arrays((IMAGES.tolist(), [0, 1]), (IMAGES.astype(np.uint32), [0, 1]))
    for split in (data.train, data.test):
        assert split.images.dtype == np.uint8
        assert (split.images == IMAGES).all()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (IMAGES, r"data is one array of shape \(2, 4, 5, 3\), expected the pairs \(train, test\)"),
        ("cifar10", "data is str, expected the pairs"),
        (((IMAGES, [0, 1]),), "data is a tuple of 1, expected the pairs"),
        ((IMAGES, [0, 1], IMAGES, [0, 1]), "data is a tuple of 4, expected the pairs"),
        ((IMAGES, [0, 1]), r"the train data is one array of shape .*, expected \(images, labels\)"),
        (((IMAGES, [0, 1]), ["cat", "dog"], (IMAGES, [0, 1])), "validation images are <U3"),
    ],
)
def test_data_that_are_no_pairs_are_refused(data: Any, why: str) -> None:
    with pytest.raises(DataError, match=why):
        dataset_of(data)


def test_a_data_set_of_ones_own_is_checked_as_pairs_are() -> None:
    good = dataset_from_arrays((IMAGES, [0, 1]), (IMAGES, [0, 1]))
    wrong = dataclasses.replace(good, test=Split(IMAGES / 255, np.arange(2)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="test images are float64"):
        dataset_of(wrong)
    wrong = dataclasses.replace(good, train=Split(IMAGES, np.array([0, 2], np.int32)))
    with pytest.raises(DataError, match=r"train labels: label 2 at index 1 is outside 0\.\.1"):
        dataset_of(wrong)
    fewer = dataset_of(dataclasses.replace(good, train=Split(IMAGES[:1], good.train.labels[:1])))
    assert (fewer.spec.num_train, fewer.spec.num_test) == (1, 2)


def test_a_data_set_of_ones_own_has_a_name_of_its_own() -> None:
    """Otherwise predict, evaluate and resuming would use the official data."""
    pair = (IMAGES, [0, 1])
    why = "data has the name of the official data set shapes: .*use dataset='shapes'"
    with pytest.raises(DataError, match=why):
        dataset_from_arrays(pair, pair, name="shapes")
    good = dataset_from_arrays(pair, pair, name="pets")
    with pytest.raises(DataError, match=why):
        dataset_of(dataclasses.replace(good, spec=dataclasses.replace(good.spec, name="shapes")))


# The validation split


def numbered(labels: list[int]) -> Split:
    """Make a split whose images store their own position in two bytes."""
    positions = np.arange(len(labels))
    images = np.stack([positions % 256, positions // 256], axis=1).astype(np.uint8)
    return Split(images.reshape(-1, 1, 2, 1), np.array(labels, np.int32))


def positions(split: Split) -> list[int]:
    pairs = split.images.reshape(-1, 2).astype(int)
    return [int(low + 256 * high) for low, high in pairs]


@given(
    labels=st.lists(st.integers(0, 5), min_size=2, max_size=300),
    fraction=st.floats(0, 0.5),
    seed=st.integers(-(2**70), 2**70),
)
def test_split_is_exact_stratified_ordered_and_repeatable(
    labels: list[int], fraction: float, seed: int
) -> None:
    split = numbered(labels)
    train, validation = split_validation(split, fraction, seed, num_classes=7)
    size = round(len(labels) * fraction)
    assert validation_size(len(labels), fraction) == size == len(validation.labels)
    kept, taken = positions(train), positions(validation)
    assert sorted(kept + taken) == list(range(len(labels)))
    assert kept == sorted(kept)
    assert taken == sorted(taken)
    for part, where in ((train, kept), (validation, taken)):
        assert part.labels.tolist() == [labels[i] for i in where]
    for label in set(labels):
        share = labels.count(label) * size / len(labels)
        assert abs((validation.labels == label).sum() - share) < 1
    again = split_validation(split, fraction, seed, num_classes=7)
    assert positions(again[1]) == taken


def test_each_seed_gives_its_own_fixed_split() -> None:
    split = numbered([i % 10 for i in range(1000)])
    taken = {seed: positions(split_validation(split, 0.1, seed, 10)[1]) for seed in range(20)}
    assert len({tuple(t) for t in taken.values()}) == 20
    assert hashlib.sha256(str(taken[0]).encode()).hexdigest()[:16] == "1d708fcb067eb24b"


def test_largest_remainders_give_one_more() -> None:
    # Of 10 images 5 are taken: 2.5, 1.5 and 1. Of equal remainders the first class gets one more.
    split = numbered([0] * 5 + [1] * 3 + [2] * 2)
    _, validation = split_validation(split, 0.5, 0, 3)
    assert np.bincount(validation.labels).tolist() == [3, 1, 1]


def test_every_image_is_equally_likely_to_be_taken() -> None:
    split = numbered([0] * 20)
    times = np.zeros(20)
    for seed in range(2000):
        times[positions(split_validation(split, 0.25, seed, 1)[1])] += 1
    # 500 each, within 5 standard deviations of sqrt(2000 * 1/4 * 3/4).
    assert np.abs(times - 500).max() < 100


def test_fraction_zero_leaves_the_split_unchanged() -> None:
    split = numbered([0, 1])
    train, validation = split_validation(split, 0.0, 0, 2)
    assert train is split
    assert validation.images.shape == (0, 1, 2, 1)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan")])
def test_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(UsageError, match=f"at least 0 and below 1, found {fraction}"):
        validation_size(100, fraction)


def test_split_that_leaves_no_training_image() -> None:
    with pytest.raises(UsageError, match=r"validation_split=0\.9 of 2 images leaves none"):
        split_validation(numbered([0, 1]), 0.9, 0, 2)
