"""Scaling and whitening against NumPy and scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.decomposition import PCA

from cnnlab.base.errors import UsageError
from cnnlab.data import scaling
from tests import small_run

RNG = np.random.default_rng(2)
# Neighbouring pixels are similar, as in real pictures.
IMAGES = np.cumsum(RNG.normal(size=(400, 4, 5, 3)) * 9, axis=2) + 120
IMAGES = np.clip(IMAGES, 0, 255).astype(np.uint8)
FLAT = IMAGES.reshape(400, -1) / 255


@pytest.mark.parametrize("at_once", [1, 60 * 7, 2**20])
def test_channel_moments(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Summed one image at a time, seven at a time, and all at once."""
    monkeypatch.setattr(scaling, "_MOMENTS_BYTES", at_once)
    found = scaling.channel_moments(IMAGES)
    np.testing.assert_allclose(found["mean"], (IMAGES / 255).mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found["stddev"], (IMAGES / 255).std(axis=(0, 1, 2)), rtol=1e-5)
    flat = scaling.channel_moments(np.full((3, 4, 4, 1), 9, np.uint8))
    assert flat["stddev"] == 1  # 0 is replaced by 1


def test_channel_moments_of_the_brightest_images() -> None:
    """No sum is too narrow for them."""
    bright = np.full((5000, 16, 16, 1), 255, np.uint8)
    bright[::2] = 253
    found = scaling.channel_moments(bright)
    np.testing.assert_allclose(found["mean"], 254 / 255, rtol=1e-6)
    np.testing.assert_allclose(found["stddev"], 1 / 255, rtol=1e-3)


def test_channel_moments_of_very_many_tiny_images() -> None:
    """The sum of all squares would not fit 32 bits."""
    tiny_images = np.full((80_000, 1, 1, 3), 255, np.uint8)
    tiny_images[::2] = 223
    found = scaling.channel_moments(tiny_images)
    np.testing.assert_allclose(found["mean"], 239 / 255, rtol=1e-6)
    np.testing.assert_allclose(found["stddev"], 16 / 255, rtol=1e-6)


def whitened(kind: str, monkeypatch: pytest.MonkeyPatch, epsilon: float) -> np.ndarray:
    monkeypatch.setattr(scaling, "WHITENING_EPSILON", epsilon)
    found = scaling.whitening(IMAGES, kind)
    return (FLAT - found["mean"]) / found["stddev"] @ found["matrix"]


def test_pca_equals_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = whitened("pca", monkeypatch, 0.0)
    theirs = PCA(whiten=True).fit_transform(FLAT) * np.sqrt(400 / 399)  # divided by n, not n - 1
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=2e-3)


def test_zca_is_white_and_near_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    white = whitened("zca", monkeypatch, 0.0)
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(60), atol=2e-3)
    # ZCA is the whitening closest to the images: each value correlates with its original.
    together = [np.corrcoef(white[:, i], FLAT[:, i])[0, 1] for i in range(60)]
    assert min(together) > 0.3


def test_epsilon_keeps_small_variances_small() -> None:
    found = scaling.whitening(IMAGES, "zca")
    flat = (FLAT - found["mean"]) / found["stddev"]
    variances = np.linalg.eigvalsh(np.cov(flat.T, bias=True))
    expected = variances / (variances + 0.01)
    white = np.linalg.eigvalsh(np.cov((flat @ found["matrix"]).T, bias=True))
    np.testing.assert_allclose(np.sort(white), np.sort(expected), atol=2e-3)


def test_scale() -> None:
    images = tf.constant(IMAGES)
    np.testing.assert_allclose(scaling.scale(images, "unit"), IMAGES / 255, rtol=1e-6)
    np.testing.assert_allclose(scaling.scale(images, "symmetric"), IMAGES / 127.5 - 1, atol=1e-6)
    standard = scaling.scale(images, "standardize").numpy()
    np.testing.assert_allclose(standard.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=(1, 2, 3)), 1, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zca", "normalize", "pca"])
def test_checkpoint_holds_the_statistics_for_evaluation(tmp_path: Path, kind: str) -> None:
    """Only training images are used; a resumed run reads the checkpoint and does not refit."""
    weights = small_run.run(tmp_path, steps=4, scaling=kind, validation_split=0.2)
    with small_run.make(tmp_path, steps=4, scaling=kind, validation_split=0.2) as train:
        images = train.data.split("train").images
        fitted: Any = scaling.whitening(images, kind) if kind != "normalize" else None
        fitted = fitted or scaling.channel_moments(images)
        for name, value in fitted.items():
            np.testing.assert_array_equal(weights[f"input_statistics/{name}"], value)
        assert len(images) == 16
        before = train.evaluate()
    with small_run.make(tmp_path, steps=4, scaling=kind, validation_split=0.2) as train:
        train.data.split("train").images[:] = 7  # would change a new fit
        assert train.evaluate() == before


@pytest.mark.parametrize("image_range", [(0.0, 1.0), (-1.0, 1.0), (2.0, 7.0)])
def test_floats_have_the_statistics_of_uint8(image_range: tuple[float, float]) -> None:
    black, white = image_range
    floats = (IMAGES / 255 * (white - black) + black).astype(np.float32)
    for found, expected in (
        (scaling.channel_moments(floats, image_range), scaling.channel_moments(IMAGES)),
        (
            scaling.whitening(floats, "zca", image_range),
            scaling.whitening(IMAGES, "zca"),
        ),
    ):
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize(("name", "mode"), [("caffe", "caffe"), ("torch", "torch")])
def test_scaling_as_keras_prepares_pixels(name: str, mode: str) -> None:
    from keras.applications import imagenet_utils

    expected = imagenet_utils.preprocess_input(IMAGES.astype(np.float32), mode=mode)
    found = scaling.scale(tf.constant(IMAGES), name)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(UsageError, match=f"--scaling={name} needs colour images with 3 channels"):
        scaling.scale(tf.constant(IMAGES[..., :1]), name)


def test_images_too_large_to_be_whitened() -> None:
    """150 x 150 x 3 would need a matrix of 18 GB."""
    with tf.Graph().as_default():
        with pytest.raises(
            UsageError, match=r"zca has a matrix .* 150 x 150 x 3 have 67500; it is fo"
        ):
            scaling.build_statistics("zca", (150, 150, 3), [])
        assert scaling.build_statistics("normalize", (150, 150, 3), []) is not None


@pytest.mark.parametrize("size", [4, 12])
def test_whitening_is_of_the_view_of_evaluation(size: int) -> None:
    """With scale jitter: resized, then cropped; the window may be larger than the images."""
    jitter = {"size": size, "lower": size + 2, "upper": size + 6}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        found = scaling.build_statistics("zca", (4, 5, 3), [{"scale_jitter": jitter}])
        assert found is not None
        found.fill(session, IMAGES)
        mean = session.run(found.mean).reshape(size, size, 3)
    sides = (size + 4, round((size + 4) * 5 / 4))
    large = tf.image.resize(IMAGES.mean(axis=0), sides, antialias=False).numpy() / 255
    top, left = ((side - size) // 2 for side in sides)
    np.testing.assert_allclose(mean, large[top : top + size, left : left + size], atol=1e-5)
