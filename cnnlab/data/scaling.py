"""Scaling of pixels to the network's input, with the training-set statistics it needs."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.data.augment import run_evaluation_view, shape_after
from cnnlab.data.specs import ImageRange

WHITENING_EPSILON = 0.01  # added to each variance; pixels are in units of their standard deviation
_MOST_WHITENED = 2**14  # values of an image: the matrix then has 1 GiB
_CHUNK = 2000  # images
_MOMENTS_BYTES = 2**20  # summed at a time: they fit a core's cache
_MOMENTS_ROWS = 2**32 // 2**16  # summed at a time: the sums of squares, at most 255**2, fit 32 bits


class _Preparation(NamedTuple):
    """x of red, green and blue, in [0, 255], becomes (unit * x - mean) / stddev.

    is_reversed: whether the order of the channels becomes blue, green, red first.
    """

    is_reversed: bool
    unit: float
    mean: tuple[float, float, float]
    stddev: tuple[float, float, float]


# What keras.applications.imagenet_utils.preprocess_input does in its modes of these names. Its mode
# tf is 'symmetric'. The figures are those of ImageNet.
PREPARED: Final = {
    "caffe": _Preparation(True, 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "torch": _Preparation(False, 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


class InputStatistics(NamedTuple):
    """Statistics of the training set, in global variables so that checkpoints contain them.

    mean, stddev: float32, [channels] for normalize, [values] for zca and pca.
    matrix: float32 [values, values], for zca and pca; else None.
    fill: a function (session, images) that computes the statistics and stores them.
    """

    mean: Any
    stddev: Any
    matrix: Any
    fill: Any


def build_statistics(
    scaling: str,
    image_shape: tuple[int, int, int],
    augmentations: list[Any],
    image_range: ImageRange | None = None,
) -> InputStatistics | None:
    """Add the variables that a scaling needs; return None if it needs none.

    Args:
        scaling: see `scale`.
        image_shape: (height, width, channels) of the data set.
        augmentations: the recipe's list; it says which view of an image evaluation sees, whose
            values are whitened.
        image_range: (black, white) of the data set's images; None: uint8.

    Raises:
        UsageError: the images are too large to be whitened.
    """
    if scaling not in ("normalize", "zca", "pca"):
        return None
    whitens = scaling != "normalize"
    input_shape = shape_after(augmentations, image_shape)
    if whitens and int(np.prod(input_shape)) > _MOST_WHITENED:
        shown = " x ".join(map(str, input_shape))
        raise UsageError(
            f"--scaling={scaling} has a matrix of all values of an image, of which images of "
            f"{shown} have {int(np.prod(input_shape))}; it is for at most {_MOST_WHITENED}, so "
            "choose a smaller --image_size, or --scaling=normalize"
        )
    size = int(np.prod(input_shape)) if whitens else image_shape[2]
    with tf.variable_scope("input_statistics", use_resource=True, reuse=tf.AUTO_REUSE):
        names = {"mean": [size], "stddev": [size], "matrix": [size, size] if whitens else None}
        variables, placeholders = {}, {}
        for name, shape in names.items():
            if shape is not None:
                # A placeholder fills it, because a constant would make the graph as large.
                start = tf.ones_initializer() if name == "stddev" else tf.zeros_initializer()
                variables[name] = tf.get_variable(name, shape, initializer=start, trainable=False)
                placeholders[name] = tf.placeholder(tf.float32, shape, f"{name}_ph")
        fill_op = tf.group(*[variables[name].assign(placeholders[name]) for name in variables])

    def fill(session: Any, images: npt.NDArray[Any]) -> None:
        if whitens:
            views = run_evaluation_view(np.asarray(images), augmentations)
            found = whitening(views, scaling, image_range)
        else:
            found = channel_moments(images, image_range)
        session.run(fill_op, {placeholders[name]: found[name] for name in placeholders})

    matrix = variables.get("matrix")
    return InputStatistics(variables["mean"], variables["stddev"], matrix, fill)


def channel_moments(
    images: npt.NDArray[Any], image_range: ImageRange | None = None
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the mean and the standard deviation of each channel, for grey levels / 255.

    Args:
        images: uint8 [n, height, width, channels], or float32 in `image_range`.
        image_range: (black, white), or None.

    Returns:
        mean, stddev: float32 [channels]; a standard deviation of 0 is replaced by 1.
    """
    if image_range is None:
        mean, stddev = _moments_of_bytes(images)
    else:
        mean, stddev = _moments_of_floats(images, image_range)
    stddev[stddev < 1e-3] = 255
    return {"mean": (mean / 255).astype(np.float32), "stddev": (stddev / 255).astype(np.float32)}


_Moments = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _moments_of_floats(images: npt.NDArray[np.float32], image_range: ImageRange) -> _Moments:
    """Return mean and standard deviation of each channel, in grey levels."""
    channels, count = images.shape[3], images.size // images.shape[3]
    starts = range(0, len(images), _CHUNK)
    parts = [np.asarray(images[i : i + _CHUNK]).reshape(-1, channels) for i in starts]
    mean = sum(part.sum(axis=0, dtype=np.float64) for part in parts) / count
    square = sum(np.square(part - mean).sum(axis=0) for part in parts) / count
    per_level = (image_range[1] - image_range[0]) / 255
    return (mean - image_range[0]) / per_level, np.sqrt(square) / per_level


def _moments_of_bytes(images: npt.NDArray[np.uint8]) -> _Moments:
    size = math.prod(images.shape[1:])
    totals, squares = (np.zeros(size, np.uint64) for _ in range(2))
    step = min(max(1, _MOMENTS_BYTES // size), _MOMENTS_ROWS)
    for start in range(0, len(images), step):
        part = np.asarray(images[start : start + step]).reshape(-1, size)
        # The narrowest integers that fit: exact, and faster than floats.
        totals += part.sum(axis=0, dtype=np.uint32)
        squares += np.square(part, dtype=np.uint16).sum(axis=0, dtype=np.uint32)
    total, square = (
        sums.reshape(-1, images.shape[3]).sum(axis=0).astype(np.float64)
        for sums in (totals, squares)
    )
    count = math.prod(images.shape[:3])
    mean = total / count
    return mean, np.sqrt(np.maximum(square / count - mean**2, 0))


def whitening(
    images: npt.NDArray[Any], scaling: str, image_range: ImageRange | None = None
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the linear map that makes the values of an image uncorrelated, with variance near 1.

    First grey levels / 255 lose their mean and are divided by one common standard deviation.
    Let their covariance be C = U diag(d) U'. Then the map is:

        zca: U diag(1 / sqrt(d + 0.01)) U' (Krizhevsky 2009, appendix A).
        pca: diag(1 / sqrt(d + 0.01)) U', components in order of decreasing variance.

    Args:
        images: uint8 [n, height, width, channels], or float32 in `image_range`, without one
            [0, 255]; values = height x width x channels.
        scaling: zca or pca.
        image_range: (black, white), or None.

    Returns:
        mean, stddev: float32 [values].
        matrix: float32 [values, values], multiplied from the right: row @ matrix.
    """
    count, size = len(images), int(np.prod(images.shape[1:]))
    flat = images.reshape(count, size)
    black, white = image_range or (0, 255)
    mean = (flat.mean(axis=0, dtype=np.float64) - black) / (white - black)
    covariance = np.zeros((size, size))
    for start in range(0, count, _CHUNK):
        part = flat[start : start + _CHUNK].astype(np.float32) - np.float32(black)
        part = part / np.float32(white - black) - mean.astype(np.float32)
        covariance += part.T @ part
    covariance /= count
    scale_squared = max(float(np.trace(covariance)) / size, 1e-12)
    values, vectors = np.linalg.eigh(covariance / scale_squared)
    order = np.argsort(-values, kind="stable")
    values, vectors = np.maximum(values[order], 0), vectors[:, order]
    # An eigenvector's sign is arbitrary: its largest element is made positive.
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(size)]
    vectors = vectors * np.where(largest < 0, -1, 1)
    matrix = vectors / np.sqrt(values + WHITENING_EPSILON)
    if scaling == "zca":
        matrix = matrix @ vectors.T
    return {
        "mean": mean.astype(np.float32),
        "stddev": np.full(size, np.sqrt(scale_squared), np.float32),
        "matrix": matrix.astype(np.float32),
    }


def scale(images: Any, scaling: str, statistics: InputStatistics | None = None) -> Any:
    """Scale pixels to the network's input range.

    Args:
        images: uint8 or float [batch, height, width, channels], range [0, 255].
        scaling: one of
            'unit': x / 255, range [0, 1].
            'none': x, range [0, 255].
            'symmetric': x / 127.5 - 1, range [-1, 1].
            'standardize': each image has mean 0 and standard deviation 1.
            'normalize': (x / 255 - mean) / stddev, both of the channel over the training set.
            'zca', 'pca': see `whitening`.
            'caffe', 'torch': see PREPARED.
        statistics: of the training set, for 'normalize', 'zca' and 'pca'.

    Returns:
        float32 [batch, height, width, channels].

    Raises:
        UsageError: the scaling needs three channels, and the images have another number.
    """
    floats = tf.cast(images, tf.float32)
    if scaling == "unit":
        return floats * (1 / 255)
    if scaling == "none":
        return floats
    if scaling == "symmetric":
        return floats * (2 / 255) - 1
    if scaling == "standardize":
        return tf.image.per_image_standardization(floats)
    if scaling in PREPARED:
        return _prepare(floats, scaling)
    assert statistics is not None
    size = int(np.prod(images.shape[1:]))
    # Flat, because TensorFlow is slow on an innermost dimension of only three channels.
    mean, stddev = (
        tf.tile(figures, [size // figures.shape[0]])
        for figures in (statistics.mean, statistics.stddev)
    )
    flat = (tf.reshape(floats * (1 / 255), [-1, size]) - mean) / stddev
    if scaling != "normalize":
        flat = tf.matmul(flat, statistics.matrix)
    return tf.reshape(flat, tf.shape(floats))


def _prepare(images: Any, scaling: str) -> Any:
    """Return images as Keras prepares them; see PREPARED.

    Args:
        images: float32 [batch, height, width, channels], range [0, 255].
    """
    if images.shape[3] != 3:
        raise UsageError(
            f"--scaling={scaling} needs colour images with 3 channels; these have {images.shape[3]}"
        )
    is_reversed, unit, mean, stddev = PREPARED[scaling]
    images = tf.reverse(images, [3]) if is_reversed else images
    size = int(np.prod(images.shape[1:]))
    # Flat, as in `scale`; tiled in the graph, which is small so.
    mean, stddev = (tf.tile(tf.constant(v, tf.float32), [size // 3]) for v in (mean, stddev))
    flat = (tf.reshape(images * unit, [-1, size]) - mean) / stddev
    return tf.reshape(flat, tf.shape(images))
