"""Convolutions by Winograd's algorithm, against NumPy and against TensorFlow's own."""

import functools

import numpy as np
import pytest

from cnnlab.layers.kernels import winograd
from tests.layers.kernels.correlation import assert_convolves, rounding_errors

PADDINGS = ("same", "valid")
# height, width, in, out, side: whole tiles, a part of one, one tile alone, channels of any number,
# whole tiles with complex points
SHAPES = [
    (8, 8, 32, 32, 5),
    (3, 13, 64, 65, 3),
    (9, 7, 256, 256, 3),
    (16, 9, 33, 40, 5),
    (5, 16, 34, 35, 3),
]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("side", [3, 5])
def test_the_matrices_make_a_correlation(side: int, padding: str) -> None:
    for width in range(side, 50):
        to_inputs, to_kernel, to_outputs = winograd.transform(width, side, padding)
        row = np.random.default_rng(width).standard_normal(width)
        weights = np.random.default_rng(side).standard_normal(side)
        values = (to_inputs @ row).reshape(-1, len(to_kernel)) * (to_kernel @ weights)
        found = (values.reshape(-1, to_outputs.shape[1]) @ to_outputs.T).ravel()
        expected = np.correlate(row, weights, padding)
        if padding == "same" and width < side + 1:  # NumPy's is of the longer one's size
            expected = np.correlate(np.pad(row, side // 2), weights, "valid")
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=str(width))


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(
    ("shape", "has_long_rows"), [*((shape, True) for shape in SHAPES), (SHAPES[0], False)], ids=str
)
def test_a_convolution_and_its_gradients(
    shape: tuple[int, ...], has_long_rows: bool, padding: str
) -> None:
    convolve = functools.partial(winograd.convolve, has_long_rows=has_long_rows)
    assert_convolves(convolve, shape, padding)


@pytest.mark.parametrize("side", [3, 5])
def test_it_rounds_about_as_well_as_the_plain_one(side: int) -> None:
    mine, plain = rounding_errors(winograd.convolve, side)
    assert mine < 4 * plain
    assert mine < 3e-6
