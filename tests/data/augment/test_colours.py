"""Augmentations that change colours, against NumPy, TensorFlow and colorsys."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.data.augment import (
    colour,
)
from tests.data.augment.test_augment import COUNT, IMAGES, call, run


def test_brightness_adds_one_number_per_image() -> None:
    found = run([{"brightness": {"max_delta": 40}}])
    assert found.dtype == np.float32  # not clipped: values may leave [0, 255]
    deltas = found - IMAGES
    assert np.ptp(deltas, axis=(1, 2, 3)).max() < 1e-3
    assert -40 <= deltas.min() < -20
    assert 20 < deltas.max() <= 40
    saturated = call("brightness", np.full_like(IMAGES, 250), max_delta=40.0)
    assert saturated.max() == 255


def test_channel_shift_adds_one_number_per_channel() -> None:
    deltas = run([{"channel_shift": {"max_delta": 30}}]) - IMAGES
    assert np.ptp(deltas, axis=(1, 2)).max() < 1e-3
    per_channel = deltas.mean(axis=(1, 2))
    assert np.ptp(per_channel, axis=1).min() > 0
    assert np.abs(per_channel).max() <= 30.001


def test_contrast_equals_tensorflow() -> None:
    factors = np.random.default_rng(0).uniform(0.2, 1.8, COUNT).astype(np.float32)
    floats = tf.constant(IMAGES, tf.float32)
    found = colour.adjust_contrast(floats, tf.constant(factors)).numpy()
    theirs = [tf.image.adjust_contrast(i, f).numpy() for i, f in zip(floats, factors, strict=True)]
    np.testing.assert_allclose(found, theirs, atol=1e-3)
    drawn = run([{"contrast": {"lower": 0.5, "upper": 0.5}}])
    np.testing.assert_allclose(
        drawn, colour.adjust_contrast(floats, tf.fill([COUNT], 0.5)), atol=1e-3
    )


@pytest.mark.parametrize("what", ["hues", "saturations"])
def test_hue_and_saturation_equal_colorsys(what: str) -> None:
    images, amounts = IMAGES[:4, :4, :4], np.array([-0.2, 0.05, 0.3, 0.5])
    if what == "saturations":
        amounts = np.array([0.0, 0.5, 1.3, 2.0])
    given = {what: tf.constant(amounts.astype(np.float32))}
    found = colour.adjust_hsv(tf.constant(images, tf.float32), **given).numpy()
    for image, amount, result in zip(images, amounts, found, strict=True):
        for place in np.ndindex(4, 4):
            h, s, v = colorsys.rgb_to_hsv(*(image[place] / 255))
            h, s = (h + amount, s) if what == "hues" else (h, min(s * amount, 1))
            expected = np.array(colorsys.hsv_to_rgb(h % 1, s, v)) * 255
            np.testing.assert_allclose(result[place], expected, atol=0.02)


def test_hue_and_saturation_draw_within_their_limits() -> None:
    grey = run([{"saturation": {"lower": 0, "upper": 0}}])
    np.testing.assert_allclose(np.ptp(grey, axis=3), 0, atol=1e-3)
    np.testing.assert_allclose(grey.max(axis=3), IMAGES.max(axis=3), atol=1e-3)
    turned = run([{"hue": {"max_delta": 0.1}}])
    np.testing.assert_allclose(turned.max(axis=3), IMAGES.max(axis=3), atol=1e-2)
    np.testing.assert_allclose(turned.min(axis=3), IMAGES.min(axis=3), atol=1e-2)


def test_gaussian_noise() -> None:
    noise = run([{"gaussian_noise": {"stddev": 5}}]) - IMAGES
    assert noise.std() == pytest.approx(5, rel=0.02)
    assert abs(noise.mean()) < 0.1
