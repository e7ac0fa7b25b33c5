"""Convolutions of images of CIFAR's size by Winograd's algorithm, along the rows.

With a kernel of r columns, m neighbouring outputs of a row take m r products of numbers. If the row
and the kernel are first transformed, m + r - 1 products are enough (S. Winograd, Arithmetic
Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural
Networks, 2016, section 4.1). Row and kernel are taken as polynomials, which are multiplied by their
values at m + r - 1 points. The two transforms and the inverse transform are products with small
matrices. Between them is a convolution along the columns, with one group of channels for each
point. It has half of the original multiplications, or fewer.

In both axes the algorithm saves more. But it needs four times as many numbers between the
transforms as an image has, and its rounding errors are ten times as large.
`cnnlab.layers.kernels.fourier` is better there. See docs/performance/convolutions.md.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.tf1 import tf
from cnnlab.layers.kernels.gradients import with_gradient

# Infinity is a point too. Where these are not enough, i and -i are added together, at the cost of
# three products. More real points would need fewer products, but round much worse.
POINTS: Final = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)


class Transform(NamedTuple):
    """The matrices of a row, float32. A tile has one product for each real point, three for i.

    inputs: [tiles * products, width], from a row to its values at the points, tile by tile;
        includes the padding.
    kernel: [products, columns], from a row of the kernel to its values.
    outputs: [tile, products], from the products of values to a tile of outputs. If the last tile
        is cut off: [new_width, tiles * products], to the whole row.
    """

    inputs: npt.NDArray[np.float32]
    kernel: npt.NDArray[np.float32]
    outputs: npt.NDArray[np.float32]


def convolve(inputs: Any, kernel: Any, padding: str, *, has_long_rows: bool = True) -> Any:
    """Return the convolution with stride 1, with its gradients.

    Args:
        inputs: float32 [batch, height, width, in], all but the batch known.
        kernel: float32 [side, side, in, out], side 3 or 5.
        padding: "valid" or "same".
        has_long_rows: whether the gradient of the kernel is computed from one long row, as the
            rest is, or from the rows of the images.

    Returns:
        float32 [batch, new_height, new_width, out].
    """
    height, width, channels = inputs.shape[1:].as_list()
    side, _, _, filters = kernel.shape.as_list()
    matrices = transform(width, side, padding)
    products = len(matrices.kernel)
    tiles = len(matrices.inputs) // products
    new_height, new_width = (
        size if padding == "same" else size - side + 1 for size in (height, width)
    )
    to_inputs, to_kernel, to_outputs = (tf.constant(matrix) for matrix in matrices)
    # The rows of an image, each cut into tiles, are joined to one long row: oneDNN is faster with
    # it than with many short ones. Neighbours in a column are `tiles` positions apart.
    along_columns = {
        "strides": [1] * 4,
        "padding": padding.upper(),
        "dilations": [1, 1, tiles, 1],
    }

    values = tf.matmul(to_inputs, tf.reshape(inputs, [-1, width, channels]))
    values = tf.reshape(values, [-1, 1, height * tiles, products * channels])
    # [side, in, products, out]: of each row and channel of the kernel.
    weights = tf.matmul(to_kernel, tf.transpose(kernel, [0, 2, 1, 3]))
    weights = tf.reshape(weights, [1, side, channels, products * filters])
    multiplied = tf.raw_ops.Conv2D(input=values, filter=weights, **along_columns)
    multiplied = tf.reshape(multiplied, [-1, matrices.outputs.shape[1], filters])
    outputs = tf.matmul(to_outputs, multiplied)
    outputs = tf.reshape(outputs, [-1, new_height, new_width, filters])

    def gradient(of_outputs: Any) -> list[Any]:
        of_outputs = tf.reshape(of_outputs, [-1, len(matrices.outputs), filters])
        of_multiplied = tf.matmul(to_outputs, of_outputs, transpose_a=True)
        of_multiplied = tf.reshape(of_multiplied, [-1, 1, new_height * tiles, products * filters])
        of_values = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(values),
            filter=weights,
            out_backprop=of_multiplied,
            **along_columns,
        )
        of_inputs = tf.matmul(
            to_inputs, tf.reshape(of_values, [-1, tiles * products, channels]), transpose_a=True
        )
        if has_long_rows:
            of_weights = tf.raw_ops.Conv2DBackpropFilter(
                input=values,
                filter_sizes=tf.shape(weights),
                out_backprop=of_multiplied,
                **along_columns,
            )
        else:
            of_weights = tf.raw_ops.Conv2DBackpropFilter(
                input=tf.reshape(values, [-1, height, tiles, products * channels]),
                filter_sizes=[side, 1, channels, products * filters],
                out_backprop=tf.reshape(of_multiplied, [-1, new_height, tiles, products * filters]),
                strides=[1] * 4,
                padding=padding.upper(),
            )
        of_weights = tf.reshape(of_weights, [side, channels, products, filters])
        of_kernel = tf.matmul(to_kernel, of_weights, transpose_a=True)
        return [
            tf.reshape(of_inputs, tf.shape(inputs)),
            tf.transpose(of_kernel, [0, 2, 1, 3]),
        ]

    (outputs,) = with_gradient([outputs], [inputs, kernel], gradient)
    return outputs


def transform(width: int, columns: int, padding: str) -> Transform:
    """Return the matrices for a row, with the tile size that needs the fewest products.

    Args:
        width: of the row, at least `columns`.
        columns: of the kernel, 3 or 5.
        padding: "valid" or "same".
    """
    before = (columns - 1) // 2 if padding == "same" else 0
    new_width = width if padding == "same" else width - columns + 1

    def products_of_all(tile: int) -> int:
        return -(-new_width // tile) * len(tile_transform(tile, columns)[1])

    tile = min(range(2, len(POINTS) + 5 - columns), key=products_of_all)
    to_inputs, to_kernel, to_outputs = tile_transform(tile, columns)
    products, places = to_inputs.shape
    tiles = -(-new_width // tile)
    inputs = np.zeros((tiles, products, width))
    outputs = np.zeros((new_width, tiles, products))
    for number in range(tiles):
        start = number * tile
        for place in range(places):
            if 0 <= start + place - before < width:
                inputs[number, :, start + place - before] = to_inputs[:, place]
        outputs[start : start + tile, number] = to_outputs[: new_width - start]
    if new_width % tile == 0:
        outputs = to_outputs
    return Transform(
        inputs.reshape(tiles * products, width).astype(np.float32),
        to_kernel.astype(np.float32),
        outputs.reshape(len(outputs), -1).astype(np.float32),
    )


def tile_transform(tile: int, columns: int) -> tuple[Any, Any, Any]:
    """Return the matrices of one tile: [products, places], [products, columns], [tile, products].

    The product of two polynomials follows from the products of their values at the points, by
    Lagrange's formula. A correlation is the transpose of that. At i the values are complex, and
    their product is computed as three real ones (Karatsuba). At -i they are the conjugates.

    Returns:
        float64 arrays.
    """
    places = tile + columns - 1
    reals, complexes = POINTS[: places - 1], []
    if len(reals) < places - 1:
        reals, complexes = POINTS[: places - 3], [1j, -1j]
    to_inputs: list[Any] = []
    values: list[Any] = []
    scales: list[float] = []
    for point in reals:
        others = [other for other in (*reals, *complexes) if other != point]
        to_inputs.append(np.append(np.poly(others)[::-1].real, 0))
        values.append(np.power(point, np.arange(places)))
        scales.append(float(np.prod([point - other for other in others]).real))
    if complexes:
        others = [*reals, -1j]
        basis = np.append(np.poly(others)[::-1], 0) * 2 / np.prod([1j - other for other in others])
        to_inputs += [basis.real + basis.imag, basis.imag - basis.real, -basis.imag]
        unit = np.resize([1, 1j, -1, -1j], places)
        values += [unit.real, unit.imag, unit.real + unit.imag]
        scales += [1.0] * 3
    # The value at infinity is the coefficient of the highest power.
    to_inputs.append(np.poly([*reals, *complexes])[::-1].real)
    scales.append(1.0)

    def to_values(length: int) -> Any:
        return np.vstack([np.array(values)[:, :length], np.eye(length)[-1]])

    # Values of similar size round best. Scaling by powers of two adds no rounding.
    sizes = np.exp2(np.round(np.log2(np.abs(to_inputs).sum(axis=1))))
    to_kernel = to_values(columns) * (sizes / scales)[:, np.newaxis]
    return np.array(to_inputs) / sizes[:, np.newaxis], to_kernel, to_values(tile).T
