"""Each augmentation alone, tested by an exact property."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from PIL import Image

from cnnlab.base.randomness import Origin, StepKeys
from cnnlab.config.augmentations import MIXING
from cnnlab.data.augment import (
    AUGMENTATIONS,
    augment,
    evaluation_view,
    geometry,
)

COUNT, HEIGHT, WIDTH = 64, 10, 14
IMAGES = np.random.default_rng(1).integers(1, 256, (COUNT, HEIGHT, WIDTH, 3)).astype(np.uint8)


def run(entries: list[Any], images: Any = IMAGES, step: int = 0, seed: int = 1) -> np.ndarray:
    keys = StepKeys(seed, tf.constant(step, tf.int64))
    return augment(tf.constant(images), entries, keys).numpy()


def call(name: str, images: Any = IMAGES, step: int = 0, **arguments: Any) -> np.ndarray:
    """Call one augmentation's function on images of any type."""
    keys = StepKeys(1, tf.constant(step, tf.int64))
    return AUGMENTATIONS[name].function(tf.constant(images), keys, **arguments).numpy()


def shares_of(found: np.ndarray, *candidates: np.ndarray) -> list[float]:
    """Return the fraction of images equal to each candidate; every image must equal one."""
    is_which = [(found == c).all(axis=(1, 2, 3)) for c in candidates]
    assert np.logical_or.reduce(is_which).all()
    return [which.mean() for which in is_which]


CROPS: dict[str, dict[str, int]] = {
    **{name: {"size": 7} for name in ("random_crop", "central_crop")},
    "scale_jitter": {"size": 7, "lower": 8, "upper": 13},
}
ALONE = [n for n in AUGMENTATIONS if n not in MIXING and n != "alternating_flip"]


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_types_sizes_and_keys(name: str, dtype: Any) -> None:
    """Type and shape are kept. The same step gives the same result, another step another one."""
    arguments = CROPS.get(name, {"size": 7} if name == "cutout" else {})
    images = IMAGES.astype(dtype)
    found = call(name, images, **arguments)
    assert found.dtype == dtype
    size = (7, 7) if name in CROPS else (HEIGHT, WIDTH)
    assert found.shape == (COUNT, *size, 3)
    np.testing.assert_array_equal(found, call(name, images, **arguments))
    assert (found != call(name, images, step=1, **arguments)).any() == (name != "central_crop")


@pytest.mark.parametrize("name", [n for n in ALONE if n not in ("saturation", "hue")])
def test_grey_images(name: str) -> None:
    arguments = CROPS.get(name, {})
    assert call(name, IMAGES[..., :1], **arguments).shape[-1] == 1


@pytest.mark.parametrize("name", ALONE)
def test_random_numbers_do_not_depend_on_the_batch_size(name: str) -> None:
    arguments = CROPS.get(name, {})
    whole, part = call(name, **arguments), call(name, IMAGES[:9], **arguments)
    np.testing.assert_array_equal(whole[:9], part)


def test_flips() -> None:
    shares = shares_of(run(["flip"]), IMAGES, IMAGES[:, :, ::-1])
    assert 0.25 < shares[0] < 0.75
    shares = shares_of(run(["vertical_flip"]), IMAGES, IMAGES[:, ::-1])
    assert 0.25 < shares[0] < 0.75


def test_alternating_flip_mirrors_every_other_epoch() -> None:
    def view(epoch: int) -> np.ndarray:
        origin = Origin(tf.range(COUNT), tf.fill([COUNT], tf.constant(epoch, tf.int64)), COUNT)
        keys = StepKeys(1, tf.constant(epoch * 7, tf.int64), origin=origin)
        return geometry.alternating_flip(tf.constant(IMAGES), keys).numpy()

    first, second = view(0), view(1)
    assert 0.25 < shares_of(first, IMAGES, IMAGES[:, :, ::-1])[0] < 0.75
    np.testing.assert_array_equal(second, first[:, :, ::-1])
    np.testing.assert_array_equal(view(2), first)


@pytest.mark.parametrize("name", ["pad_and_crop", "translate"])
@pytest.mark.parametrize(
    ("mode", "numpy_mode"), [("zero", "constant"), ("reflect", "reflect"), ("nearest", "edge")]
)
def test_shifts(name: str, mode: str, numpy_mode: str) -> None:
    found = run([{name: {"pixels": 2, "mode": mode}}])
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode=numpy_mode)
    windows = [padded[:, y : y + HEIGHT, x : x + WIDTH] for y in range(5) for x in range(5)]
    shares = shares_of(found, *windows)
    assert sum(share > 0 for share in shares) > 15


def test_random_crop_and_its_central_view() -> None:
    found = run([{"random_crop": {"size": 7}}])
    windows = [IMAGES[:, y : y + 7, x : x + 7] for y in range(4) for x in range(8)]
    shares = shares_of(found, *windows)
    assert sum(share > 0 for share in shares) > 20
    for name in ("random_crop", "central_crop"):
        central = evaluation_view(tf.constant(IMAGES), ["flip", {name: {"size": 7}}])
        np.testing.assert_array_equal(central.numpy(), IMAGES[:, 1:8, 3:10])
    np.testing.assert_array_equal(run([{"central_crop": {"size": 7}}]), IMAGES[:, 1:8, 3:10])


def test_scale_jitter_keeps_straight_lines_and_stays_inside() -> None:
    """The pixels are a linear function of their place, so a window tells its place and scale."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    images = np.broadcast_to(
        np.stack([rows, columns, 0 * rows], axis=2), (500, HEIGHT, WIDTH, 3)
    ).copy()
    found = call("scale_jitter", images, size=7, lower=10, upper=20)[..., :2]
    inner = found[:, 1:-1, 1:-1]  # the outermost pixels may lie beyond the centre of a pixel
    steps = np.diff(inner[..., 0], axis=1), np.diff(inner[..., 1], axis=2)
    scales = 1 / steps[0][:, 0, 0]
    for step in steps:  # the same along both axes, everywhere
        np.testing.assert_allclose(step, (1 / scales)[:, None, None] + 0 * step, atol=1e-4)
    # The short side is 10.
    assert 1 <= scales.min() < 1.05
    assert 1.95 < scales.max() <= 2.001
    assert abs(scales.mean() - 1.5) < 0.05
    for axis, length in ((0, HEIGHT), (1, WIDTH)):
        middles = found[:, 3, 3, axis] + 0.5  # between 0 and the length
        room = length - 7 / scales
        shares = (middles - 3.5 / scales) / np.maximum(room, 1e-9)
        assert shares.min() > -1e-3
        assert shares.max() < 1.001
        assert shares[room > 1].min() < 0.05 < 0.95 < shares[room > 1].max()


def test_scale_jitter_s_view_in_evaluation() -> None:
    """By Pillow: the image at the mean length, and its centre."""
    entries = ["flip", {"scale_jitter": {"size": 12, "lower": 14, "upper": 26}}]
    found = evaluation_view(tf.constant(IMAGES[:3]), entries).numpy()
    for image, view in zip(IMAGES, found, strict=False):
        large = Image.fromarray(image).resize((28, 20), Image.Resampling.BILINEAR)
        expected = np.asarray(large, np.float32)[4:16, 8:20]
        np.testing.assert_allclose(view, expected, atol=1.01)  # Pillow rounds after each axis


def test_transform_equals_numpy_for_quarter_turns() -> None:
    square = IMAGES[:3, :, :10]
    quarter = tf.fill([3], np.float32(np.pi / 2))
    turned = geometry.transform(tf.constant(square), geometry.rotations(quarter)).numpy()
    # Counter-clockwise. The tolerance is one grey level: 90 degrees are not exact in float32.
    difference = np.abs(turned.astype(int) - np.rot90(square, axes=(1, 2)).astype(int))
    assert difference.max() <= 1
    same = geometry.transform(tf.constant(square), geometry.zooms(tf.ones([3]))).numpy()
    np.testing.assert_array_equal(same, square)


def test_shear_moves_rows_by_their_distance_from_the_middle() -> None:
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, :, 4] = 200  # a vertical line through the centre
    sheared = geometry.transform(tf.constant(image), geometry.shears(tf.constant([0.5]))).numpy()
    columns = [np.average(np.arange(9), weights=row) for row in sheared[0, :, :, 0]]
    np.testing.assert_allclose(columns, 4 - 0.5 * (np.arange(9) - 4), atol=0.02)


def test_zoom_magnifies_about_the_centre() -> None:
    ramp = np.tile(np.arange(9, dtype=np.float32) * 10, (9, 1))[None, :, :, None]
    zoomed = geometry.transform(tf.constant(ramp), geometry.zooms(tf.constant([2.0]))).numpy()
    np.testing.assert_allclose(zoomed[0, 4, :, 0], 40 + 5 * (np.arange(9) - 4), atol=1e-3)


# tf_keras calls scipy.ndimage by a name that SciPy 2 will not have.
@pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")
@pytest.mark.parametrize(
    ("mode", "of_keras"),  # grid-constant blends the edge with zeros, constant ends before it
    [("nearest", "nearest"), ("reflect", "reflect"), ("zero", "grid-constant")],
)
def test_transform_equals_keras(mode: str, of_keras: str) -> None:
    """Rotation, shear and zoom of each axis of Keras, which composes them in this order.

    The image is a square: Keras turns other ones about a point that is not their centre.
    """
    image = np.random.default_rng(2).uniform(0, 255, (23, 23, 3)).astype(np.float32)
    for given in [(25.0, 0, 1, 1), (0, 17.0, 1, 1), (0, 0, 0.7, 1.3), (9, -8, 1.2, 0.9)]:
        theta, shear, zx, zy = given
        angle, slant = np.radians(theta), np.radians(shear)
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        sheared = np.array([[1, -np.sin(slant)], [0, np.cos(slant)]])
        matrix = (turned @ sheared @ np.diag([zx, zy])).astype(np.float32)
        ours = geometry.transform(tf.constant(image[None]), tf.constant(matrix[None]), mode)
        theirs = tf_keras.preprocessing.image.apply_affine_transform(
            image, theta, 0, 0, shear, zx, zy, 0, 1, 2, fill_mode=of_keras
        )
        np.testing.assert_allclose(ours[0], theirs, atol=0.05)


def test_zoom_of_each_axis() -> None:
    """Factors of both axes are drawn by themselves, as zoom_range of Keras."""
    y, x = np.mgrid[:41, :41].astype(np.float32)
    ramps = np.tile(np.stack([x, y], 2) - 20, (COUNT, 1, 1, 1))
    found = call("zoom", ramps, amount=0.3, each_axis=True, mode="nearest")
    factors = np.stack([1 / (found[:, 20, 25, 0] / 5), 1 / (found[:, 25, 20, 1] / 5)])
    assert 0.7 <= factors.min() < 0.75
    assert 1.25 < factors.max() <= 1.3
    assert abs(np.corrcoef(factors)[0, 1]) < 0.4
    assert np.abs(factors.mean() - 1) < 0.05
    together = call("zoom", ramps, amount=0.3)
    np.testing.assert_allclose(together[:, 20, 25, 0], together[:, 25, 20, 1], atol=1e-4)
    at_edge = np.abs(found).max(axis=(1, 2))
    assert at_edge.max() <= 20  # nearest: nothing beyond the edge


@pytest.mark.parametrize("mode", ["reflect", "nearest", "zero"])
@pytest.mark.parametrize("name", ["rotate", "shear", "zoom"])
def test_a_mode_of_the_edges_is_passed_on(name: str, mode: str) -> None:
    white = np.full((4, 20, 20, 1), 255, np.uint8)
    darkest = call(name, white, mode=mode).min()
    assert darkest == 0 if mode == "zero" else darkest == 255


def test_drawn_rotations_are_within_their_limit() -> None:
    """The direction of a line through the centre shows the angle of the rotation."""
    y, x = np.mgrid[-15:16, -15:16]
    images = np.tile((np.abs(y) < 2) * (np.abs(x) < 9) * 255.0, (COUNT, 1, 1))[..., None]
    turned = call("rotate", images.astype(np.float32), degrees=20.0)[..., 0]
    angles = 0.5 * np.arctan2(
        -2 * (turned * x * y).sum(axis=(1, 2)), (turned * (x**2 - y**2)).sum(axis=(1, 2))
    )
    degrees = np.degrees(angles)
    assert np.abs(degrees).max() < 20.5
    assert degrees.min() < -12
    assert degrees.max() > 12


def test_cutout_erases_a_square_with_any_centre() -> None:
    found = run([{"cutout": {"size": 4}}])
    is_cut = (found == 0).all(axis=3)  # no pixel of IMAGES is 0
    np.testing.assert_array_equal(found[~is_cut], IMAGES[~is_cut])
    areas = set()
    for mask in is_cut:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask.sum() == len(rows) * len(columns)  # a rectangle
        assert len(rows) == np.ptp(rows) + 1
        areas.add(int(mask.sum()))
    assert max(areas) == 16
    assert min(areas) < 16  # some overlap the edge


def test_random_erasing() -> None:
    arguments = {"probability": 0.5, "lower": 0.1, "upper": 0.3, "aspect": 0.5}
    found = run([{"random_erasing": arguments}])
    touched = (found != IMAGES).any(axis=3)
    shares = touched.mean(axis=(1, 2))
    assert 0.3 < (shares > 0).mean() < 0.7
    assert shares[shares > 0].min() > 0.05
    assert shares.max() < 0.36
    for mask in touched[shares > 0]:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        assert mask.sum() == rows.sum() * columns.sum()
    assert not (run([{"random_erasing": {"probability": 0.0}}]) != IMAGES).any()
