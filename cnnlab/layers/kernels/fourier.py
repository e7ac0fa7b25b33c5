"""Convolutions of small images with many channels by the discrete Fourier transform.

At each frequency, a convolution is a product of two matrices: the coefficients of the images and
those of the kernel (M. Mathieu, M. Henaff and Y. LeCun, Fast Training of Convolutional Networks
through FFTs, 2013). Images with sides of 7 to 32 pixels are small. So the transform itself is best
computed as a product with a matrix of cosines and sines. Such a transform can have any length. The
length here is that of the image and the padding before it: what runs over at the end meets zeros. A
5x5 convolution of 16x16 images needs 2.1 products for each pixel and pair of channels, instead of
25.

The images are real, so half of the frequencies of one axis determine the rest. A complex product is
computed as three real ones (C. F. Gauss): a c - b d = c (a + b) - b (c + d) and
a d + b c = c (a + b) + a (d - c). The sums of two numbers are part of the matrices, so only
products of real matrices are left. The matrices rotate vectors without stretching them, so the
rounding errors are hardly larger than those of a direct convolution.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.tf1 import tf
from cnnlab.layers.kernels.gradients import with_gradient

Matrix = npt.NDArray[np.float32]


class Transform(NamedTuple):
    """The matrices that transform images and kernels, and transform back.

    A complex number takes two rows or columns of a matrix (re, im); a factor of a product takes
    three. `halves` are the frequencies of the height up to the middle one, `points` all frequencies
    of the width.

    image_halves: [2 halves, height]. kernel_halves: [2 halves, side].
    image_points: [3 points, 2 width]. kernel_points: [3 points, 2 side].
    outputs_of_points: [2 new_width, 3 points]. outputs_of_halves: [new_height, 2 halves].
    """

    image_halves: Matrix
    kernel_halves: Matrix
    image_points: Matrix
    kernel_points: Matrix
    outputs_of_points: Matrix
    outputs_of_halves: Matrix


def convolve(inputs: Any, kernel: Any, padding: str) -> Any:
    """Return the convolution with stride 1, with its gradients.

    Args:
        inputs: float32 [batch, height, width, in], all but the batch known.
        kernel: float32 [side, side, in, out], side odd.
        padding: "valid" or "same".

    Returns:
        float32 [batch, new_height, new_width, out].
    """
    height, width, channels = inputs.shape[1:].as_list()
    side, _, _, filters = kernel.shape.as_list()
    matrices = transform(height, width, side, padding)
    new_height = len(matrices.outputs_of_halves)
    new_width = len(matrices.outputs_of_points) // 2
    halves, points = len(matrices.image_halves) // 2, len(matrices.image_points)
    m = Transform(*map(tf.constant, matrices))
    batch = tf.shape(inputs)[0]

    # The backward pass multiplies by the transposed matrices, in the reverse order.
    def forward(x: Any, by_rows: Any, by_columns: Any, **transposed: bool) -> Any:
        """Transform [rows, columns, a, b] to [halves * points, a, b]."""
        rows, columns, _, last = x.shape.as_list()
        x = tf.matmul(by_rows, tf.reshape(x, [rows, -1]), **transposed)
        x = tf.matmul(by_columns, tf.reshape(x, [halves, 2 * columns, -1]), **transposed)
        return tf.reshape(x, [halves * points, -1, last])

    def back(x: Any, by_columns: Any, by_rows: Any, **transposed: bool) -> Any:
        """Transform [halves * points, a, b] to [rows, columns * a * b]."""
        x = tf.matmul(by_columns, tf.reshape(x, [halves, points, -1]), **transposed)
        return tf.matmul(by_rows, tf.reshape(x, [2 * halves, -1]), **transposed)

    values = forward(tf.transpose(inputs, [1, 2, 0, 3]), m.image_halves, m.image_points)
    weights = forward(kernel, m.kernel_halves, m.kernel_points)
    products = tf.matmul(values, weights)
    y = back(products, m.outputs_of_points, m.outputs_of_halves)
    y = tf.reshape(y, [new_height, new_width, batch, filters])
    outputs = tf.transpose(y, [2, 0, 1, 3])
    outputs.set_shape([None, new_height, new_width, filters])

    def gradient(of_outputs: Any) -> list[Any]:
        of_outputs = tf.ensure_shape(of_outputs, outputs.shape)
        y = tf.transpose(of_outputs, [1, 2, 0, 3])
        of_products = forward(y, m.outputs_of_halves, m.outputs_of_points, transpose_a=True)
        of_values = tf.matmul(of_products, weights, transpose_b=True)
        x = back(of_values, m.image_points, m.image_halves, transpose_a=True)
        x = tf.reshape(x, [height, width, batch, channels])
        of_weights = tf.matmul(values, of_products, transpose_a=True)
        of_kernel = back(of_weights, m.kernel_points, m.kernel_halves, transpose_a=True)
        return [tf.transpose(x, [2, 0, 1, 3]), tf.reshape(of_kernel, kernel.shape)]

    (outputs,) = with_gradient([outputs], [inputs, kernel], gradient)
    return outputs


@functools.cache
def transform(height: int, width: int, side: int, padding: str) -> Transform:
    """Return the matrices for images and kernels of these sizes.

    Args:
        height, width: of the images, at least `side`.
        side: of the kernel, odd.
        padding: "valid" or "same".
    """
    columns = _axis(height, side, padding)
    rows = _axis(width, side, padding)
    half = np.arange(columns.length // 2 + 1)
    # A frequency that is left out repeats another one, so that one counts twice.
    counts = np.where((half == 0) | (2 * half == columns.length), 1, 2)[:, None]
    to_halves = columns.to_frequencies[half]
    kernel_to_halves = columns.kernel_to_frequencies[half]
    of_halves = counts * columns.of_frequencies[:, half].T
    matrices = Transform(
        image_halves=_interleaved([to_halves.real, to_halves.imag]),
        kernel_halves=_interleaved([kernel_to_halves.real, kernel_to_halves.imag]),
        image_points=_three_of_images(rows.to_frequencies),
        kernel_points=_three_of_kernels(rows.kernel_to_frequencies),
        outputs_of_points=_two_of_products(rows.of_frequencies),
        outputs_of_halves=_interleaved([of_halves.real, -of_halves.imag]).T,
    )
    return Transform(*(np.ascontiguousarray(matrix, np.float32) for matrix in matrices))


class _Axis(NamedTuple):
    """The transforms of one axis, complex.

    length: of the transform, in pixels: the axis and the padding before it.
    to_frequencies: [length, size]. kernel_to_frequencies: [length, side], conjugate, because a
    convolution layer computes a correlation. of_frequencies: [new_size, length].
    """

    length: int
    to_frequencies: npt.NDArray[np.complex128]
    kernel_to_frequencies: npt.NDArray[np.complex128]
    of_frequencies: npt.NDArray[np.complex128]


def _axis(size: int, side: int, padding: str) -> _Axis:
    before = (side - 1) // 2 if padding == "same" else 0
    length = before + size
    new_size = size if padding == "same" else size - side + 1

    def turns(left: Any, right: Any) -> npt.NDArray[np.complex128]:
        return np.exp(2j * np.pi / length * np.outer(left, right))

    frequencies = np.arange(length)
    return _Axis(
        length,
        turns(-frequencies, before + np.arange(size)),
        turns(frequencies, np.arange(side)),
        turns(np.arange(new_size), frequencies) / length,
    )


def _interleaved(parts: list[Any]) -> Any:
    """Interleave the rows of the parts: [n, m] each to [parts n, m]."""
    return np.stack(parts, axis=1).reshape(-1, parts[0].shape[1])


def _three_of_images(turns: Any) -> Any:
    """Return the rows a + b, a and b of each result a + b i: complex [n, m] to real [3 n, 2 m].

    The columns are m numbers re, then m numbers im.
    """
    a = np.hstack([turns.real, -turns.imag])
    b = np.hstack([turns.imag, turns.real])
    return _interleaved([a + b, a, b])


def _three_of_kernels(turns: Any) -> Any:
    """Return the rows c, d - c and c + d of each result c + d i; see `_three_of_images`."""
    c = np.hstack([turns.real, -turns.imag])
    d = np.hstack([turns.imag, turns.real])
    return _interleaved([c, d - c, c + d])


def _two_of_products(turns: Any) -> Any:
    """Return the matrix from n numbers, as three products each, to m complex numbers.

    Complex [m, n] to real [2 m, 3 n]; the rows are m numbers re, then m numbers im. The products
    p, q, r represent the number p - r + (p + q) i.
    """
    re, im = turns.real, turns.imag
    of_re = np.stack([re - im, -im, -re], axis=2)
    of_im = np.stack([re + im, re, -im], axis=2)
    return np.vstack([part.reshape(len(re), -1) for part in (of_re, of_im)])
