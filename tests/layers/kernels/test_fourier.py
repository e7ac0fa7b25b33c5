"""Convolutions by the Fourier transform, against NumPy and against TensorFlow's own."""

import numpy as np
import pytest

from cnnlab.layers.kernels import fourier
from tests.layers.kernels.correlation import assert_convolves, correlate, rounding_errors

PADDINGS = ("same", "valid")
# height, width, in, out, side: even and odd lengths, oblong images, as small as the kernel
SHAPES = [(16, 16, 32, 32, 5), (7, 7, 8, 9, 3), (8, 13, 5, 4, 3), (5, 11, 3, 1, 5), (3, 3, 2, 2, 3)]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("side", [1, 3, 5, 7])
def test_the_matrices_make_a_correlation(side: int, padding: str) -> None:
    rng = np.random.default_rng(side)
    for height, width in [(side, side), (side, 12), (13, side), (8, 9), (9, 8), (16, 16), (17, 7)]:
        m = fourier.transform(height, width, side, padding)
        halves = len(m.image_halves) // 2
        image, kernel = rng.standard_normal((height, width)), rng.standard_normal((side, side))
        values = m.image_points @ (m.image_halves @ image).reshape(halves, -1, 1)
        weights = m.kernel_points @ (m.kernel_halves @ kernel).reshape(halves, -1, 1)
        rows = m.outputs_of_points @ (values * weights)
        found = m.outputs_of_halves @ rows.reshape(2 * halves, -1)
        expected = correlate(image[None, ..., None], kernel[..., None, None], padding)[0, ..., 0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6, err_msg=f"{height} {width}")


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_convolution_and_its_gradients(shape: tuple[int, ...], padding: str) -> None:
    assert_convolves(fourier.convolve, shape, padding)


def test_it_rounds_about_as_well_as_the_plain_one() -> None:
    mine, plain = rounding_errors(fourier.convolve)
    assert mine < 2 * plain
    assert mine < 1e-6
