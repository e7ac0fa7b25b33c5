"""Augmentations that mix images, RandAugment, and lists of several augmentations."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.base.randomness import StepKeys
from cnnlab.data.augment import (
    Mixed,
    augment_and_mix,
)
from tests.data.augment.test_augment import COUNT, IMAGES, run, shares_of


def mixed(name: str, dtype: Any, **arguments: Any) -> Mixed:
    keys = StepKeys(1, tf.constant(0, tf.int64))
    targets = tf.eye(COUNT)  # each image has its own class
    weights = tf.range(COUNT, dtype=tf.float32)
    batch = Mixed(tf.constant(IMAGES.astype(dtype)), targets, weights)
    return Mixed(*(t.numpy() for t in augment_and_mix(batch, [{name: arguments}], keys)))


def shares_in(targets: np.ndarray) -> np.ndarray:
    """Return each image's own share of its target; the rest must be that of the next image."""
    own, others = np.diag(targets), targets[np.arange(COUNT), np.arange(1, COUNT + 1) % COUNT]
    np.testing.assert_allclose(own + others, 1, rtol=1e-5)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
    return own


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixup(alpha: float) -> None:
    found = mixed("mixup", np.float32, alpha=alpha)
    shares = shares_in(found.targets)
    nexts = np.roll(IMAGES, -1, axis=0).astype(np.float32)
    s = shares[:, None, None, None]
    np.testing.assert_allclose(found.images, s * IMAGES + (1 - s) * nexts, atol=0.01)
    expected = shares * np.arange(COUNT) + (1 - shares) * np.roll(np.arange(COUNT), -1)
    np.testing.assert_allclose(found.weights, expected, rtol=1e-4, atol=1e-4)
    # Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1)).
    assert abs(shares.mean() - 0.5) < 0.2
    assert shares.std() == pytest.approx(np.sqrt(1 / (4 * (2 * alpha + 1))), rel=0.25)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_cutmix(dtype: Any) -> None:
    found = mixed("cutmix", dtype)
    assert found.images.dtype == dtype
    shares = shares_in(found.targets)
    nexts = np.roll(IMAGES, -1, axis=0)
    is_next = (found.images == nexts).all(axis=3) & (nexts != IMAGES).any(axis=3)
    is_own = (found.images == IMAGES).all(axis=3)
    assert (is_next | is_own).all()
    np.testing.assert_allclose(1 - is_next.mean(axis=(1, 2)), shares, atol=1e-5)
    for mask in is_next:
        assert mask.sum() == mask.any(axis=1).sum() * mask.any(axis=0).sum()
    assert 0.3 < shares.mean() < 0.8


def test_rand_augment_leaves_some_images_and_changes_the_others() -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3)).astype(np.uint8)
    found = run([{"rand_augment": {"count": 1}}], images)
    assert (
        0.04 < (found == images).all(axis=(1, 2, 3)).mean() < 0.2
    )  # identity is one of ten operations
    twice = run([{"rand_augment": {"count": 3, "magnitude": 9}}], images)
    assert (twice == images).all(axis=(1, 2, 3)).mean() < 0.05


def test_entries_are_applied_in_the_order_of_the_list() -> None:
    entries = [{"cutout": {"size": 4}}, {"brightness": {"max_delta": 40}}]
    one = run(entries)
    other = run(entries[::-1])
    assert (one == 0).sum() < (other == 0).sum()  # brightened after the cut: no longer 0


def test_the_same_entry_twice_draws_different_numbers() -> None:
    both = run(["flip", "flip"])
    assert 0.25 < shares_of(both, IMAGES, IMAGES[:, :, ::-1])[0] < 0.75


def test_a_list_that_only_moves_pixels_stays_uint8() -> None:
    assert run(["flip", "pad_and_crop", "cutout"]).dtype == np.uint8
    assert run(["flip", "hue", "cutout"]).dtype == np.float32
