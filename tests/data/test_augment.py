"""Each augmentation alone, with what must hold for it; scaling against NumPy."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cnnlab.data import augment as module
from cnnlab.data.augment import augment, parse_augmentations, scale
from cnnlab.errors import UsageError
from cnnlab.tf1 import tf
from cnnlab.tower import Tower

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(1, 256, (400, 6, 5, 3), np.uint8)  # no zeros: those are the padding's


def augmented(
    entries: list[Any], images: npt.NDArray[np.uint8] = IMAGES, seed: int = 1, step: int = 3
) -> npt.NDArray[np.uint8]:
    with tf.Graph().as_default(), tf.Session() as session:
        tower = Tower(seed, tf.constant(step, tf.int64))
        found: npt.NDArray[np.uint8] = session.run(augment(tf.constant(images), entries, tower))
    assert found.dtype == images.dtype
    assert found.shape == images.shape
    return found


CROP = {"pad_and_crop": {"pixels": 2}}


def test_flip_mirrors_about_half() -> None:
    found = augmented(["flip"])
    mirrored = 0
    for before, after in zip(IMAGES, found, strict=True):
        if np.array_equal(after, before[:, ::-1]):
            mirrored += 1
        else:
            assert np.array_equal(after, before)
    assert abs(mirrored - 200) < 50  # 5 standard deviations of sqrt(400 / 4)


def test_pad_and_crop_cuts_a_window_and_every_window() -> None:
    found = augmented([CROP])
    offsets = []
    for before, after in zip(IMAGES, found, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)))
        matches = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if np.array_equal(padded[row : row + 6, column : column + 5], after)
        ]
        assert len(matches) == 1
        offsets += matches
    assert len(set(offsets)) == 25  # 400 draws of 25: each missing with probability 1e-7
    counts = np.bincount([row for row, _ in offsets], minlength=5)
    assert np.abs(counts - 80).max() < 40  # 5 standard deviations of 8


def test_the_default_width_is_four() -> None:
    given = augmented([{"pad_and_crop": {"pixels": 4}}])
    assert np.array_equal(augmented(["pad_and_crop"]), given)
    assert np.array_equal(augmented([{"pad_and_crop": None}]), given)


def test_draws_are_of_seed_step_and_place() -> None:
    entries = ["flip", CROP]
    first = augmented(entries)
    assert np.array_equal(augmented(entries), first)
    assert not np.array_equal(augmented(entries, step=4), first)
    assert not np.array_equal(augmented(entries, seed=2), first)
    # What an image gets depends on its place in the batch, not on the batch's size.
    assert np.array_equal(augmented(entries, IMAGES[:7]), first[:7])


def test_entries_act_in_order() -> None:
    assert np.array_equal(augmented([]), IMAGES)
    alone = augmented(["flip"])
    assert np.array_equal(augmented(["flip", CROP]), augmented([CROP], alone))
    twice = augmented(["flip", "flip"])  # two draws, not the same one undone
    assert not np.array_equal(twice, IMAGES)
    assert not np.array_equal(twice, alone)


def test_parsing() -> None:
    assert parse_augmentations(["flip", CROP, {"flip": {}}]) == [
        *[("flip", {}), ("pad_and_crop", {"pixels": 2}), ("flip", {})]
    ]
    assert set(module.AUGMENTATIONS) == {"flip", "pad_and_crop"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("flipp", "unknown augmentation flipp; did you mean flip?"),
        ("zzz", "unknown augmentation zzz; known: flip, pad_and_crop"),
        (3, "3 is neither NAME nor {NAME: {argument: value}}"),
        ({"flip": {}, "pad_and_crop": {}}, "is neither NAME nor"),
        ({}, "is neither NAME nor"),
        ({"flip": {"p": 1}}, "flip has no argument p; it takes no arguments"),
        ({"pad_and_crop": {"pixel": 1}}, "pad_and_crop has no argument pixel; it takes pixels"),
        ({"pad_and_crop": {"tower": 1}}, "has no argument tower"),
        ({"pad_and_crop": {"pixels": 0}}, "pixels"),
        ({"pad_and_crop": {"pixels": 1.5}}, "pixels"),
        ({"pad_and_crop": [4]}, "pad_and_crop"),
    ],
)
def test_entries_that_are_none(entry: Any, message: str) -> None:
    with pytest.raises(UsageError, match=r"^--augment: ") as error:
        parse_augmentations([entry])
    assert message in str(error.value)


def scaled(images: npt.NDArray[np.uint8], scaling: str) -> npt.NDArray[np.float32]:
    with tf.Graph().as_default(), tf.Session() as session:
        found: npt.NDArray[np.float32] = session.run(scale(tf.constant(images), scaling))
    assert found.dtype == np.float32
    return found


def test_scaling() -> None:
    exact = IMAGES.astype(np.float64)
    np.testing.assert_allclose(scaled(IMAGES, "unit"), exact / 255, rtol=1e-6)
    np.testing.assert_allclose(scaled(IMAGES, "symmetric"), exact / 127.5 - 1, atol=1e-6)
    mean, sd = (f(exact, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
    np.testing.assert_allclose(scaled(IMAGES, "standardize"), (exact - mean) / sd, atol=1e-4)


def test_scaling_at_the_ends() -> None:
    ends = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
    assert scaled(ends, "unit").ravel().tolist() == [0, 1]
    assert scaled(ends, "symmetric").ravel().tolist() == pytest.approx([-1, 1], abs=1e-7)
    even = np.full((1, 2, 2, 1), 7, np.uint8)
    assert not scaled(even, "standardize").any()  # not a division by zero
