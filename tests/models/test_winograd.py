"""Convolutions by Winograd's algorithm, against NumPy and against TensorFlow's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.data.specs import DATASETS
from cnnlab.exporting.program import build_outputs
from cnnlab.models import winograd
from cnnlab.resolve import resolve
from cnnlab.tf1 import tf
from cnnlab.tower import Tower, building
from tests import small

PADDINGS = ("same", "valid")
# height, width, in, out, side: whole tiles, a part of one, one tile alone, channels of any number
SHAPES = [(8, 8, 32, 32, 5), (3, 13, 64, 65, 3), (9, 7, 256, 256, 3), (16, 9, 33, 40, 5)]


def correlate(images: Any, kernel: Any, padding: str) -> Any:
    """The convolution by its definition, in float64."""
    before = (len(kernel) - 1) // 2 if padding == "same" else 0
    x = np.pad(images.astype(np.float64), [(0, 0), (before, before), (before, before), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("bhwcij,ijcf->bhwf", windows, kernel.astype(np.float64), optimize=True)


def random(*shape: int, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("side", [3, 5])
def test_the_matrices_make_a_correlation(side: int, padding: str) -> None:
    for width in range(side, 50):
        to_inputs, to_kernel, to_outputs = winograd.transform(width, side, padding)
        row = np.random.default_rng(width).standard_normal(width)
        weights = np.random.default_rng(side).standard_normal(side)
        values = (to_inputs @ row).reshape(-1, len(to_kernel)) * (to_kernel @ weights)
        found = to_outputs @ values.ravel()
        expected = np.correlate(row, weights, padding)
        if padding == "same" and width < side + 1:  # NumPy's is of the longer one's size
            expected = np.correlate(np.pad(row, side // 2), weights, "valid")
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=str(width))


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(
    ("shape", "avx512"), [*((shape, True) for shape in SHAPES), (SHAPES[0], False)], ids=str
)
def test_a_convolution_and_its_gradients(
    shape: tuple[int, ...], avx512: bool, padding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "onednn_uses_avx512", lambda: avx512)
    height, width, channels, filters, side = shape
    images, kernel = (
        random(2, height, width, channels, seed=1),
        random(side, side, channels, filters, seed=2),
    )
    expected = correlate(images, kernel, padding)
    of_outputs = random(*expected.shape, seed=3)
    with tf.Graph().as_default(), tf.Session() as session:
        x, w = tf.placeholder(tf.float32, [None, *images.shape[1:]]), tf.constant(kernel)
        y = winograd.convolve(x, w, padding)
        assert y.shape.as_list() == [None, *expected.shape[1:]]
        wanted = [y, *tf.gradients(y, [x, w], tf.constant(of_outputs))]
        found = session.run(wanted, {x: images})
        nothing = session.run(y, {x: images[:0]})
    assert nothing.shape == (0, *expected.shape[1:])
    flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    margin = (side - 1) // 2 if padding == "same" else side - 1
    around = [(0, 0), (margin, margin), (margin, margin), (0, 0)]
    of_images = correlate(np.pad(of_outputs, around), flipped, "valid")
    before = (side - 1) // 2 if padding == "same" else 0
    padded = np.pad(images, [(0, 0), (before, before), (before, before), (0, 0)])
    of_kernel = correlate(padded.transpose(3, 1, 2, 0), of_outputs.transpose(1, 2, 0, 3), "valid")
    gradients = of_images, of_kernel.transpose(1, 2, 0, 3)
    for mine, true in zip(found, (expected, *gradients), strict=True):
        assert mine.shape == true.shape
        np.testing.assert_allclose(mine, true, rtol=0, atol=2e-5 * true.std())


def test_it_rounds_about_as_well_as_the_plain_one() -> None:
    images, kernel = random(8, 16, 16, 64, seed=1), random(5, 5, 64, 64, seed=2)
    exact = correlate(images, kernel, "same")
    with tf.Graph().as_default(), tf.Session() as session:
        x, w = tf.constant(images), tf.constant(kernel)
        both = session.run([winograd.convolve(x, w, "same"), tf.nn.conv2d(x, w, 1, "SAME")])
    mine, plain = (np.std(found - exact) for found in both)
    assert mine < 4 * plain
    assert mine < 3e-6 * np.std(exact)


def kinds_of_a_layer(width: int, channels: int, *, tower: Tower, **options: Any) -> set[str]:
    """The types of operations that a layer makes, of images as wide as high."""
    given = {"filters": channels, "kernel_size": 3, "padding": "same", **options}
    with tf.Graph().as_default() as graph:
        with building(tower):
            x = tf.placeholder(tf.float32, [None, width, width, channels])
            layers.conv2d(x, given.pop("filters"), given.pop("kernel_size"), "conv", **given)
        return {op.type for op in graph.get_operations()}


@pytest.mark.parametrize(
    ("width", "channels", "options", "is_fast"),
    [
        (12, 64, {}, True),
        (48, 64, {}, True),
        (11, 64, {}, False),
        (49, 64, {}, False),
        (12, 63, {}, False),
        (12, 64, {"filters": 63}, False),
        (7, 256, {}, True),
        (6, 256, {}, False),
        (8, 32, {"kernel_size": 5, "padding": "valid"}, True),
        (7, 32, {"kernel_size": 5}, False),
        (8, 31, {"kernel_size": 5}, False),
        (16, 64, {"kernel_size": (3, 5)}, False),
        (16, 64, {"kernel_size": 1}, False),
        (16, 64, {"strides": 2}, False),
        (16, 64, {"dilation_rate": 2}, False),
    ],
    ids=str,
)
def test_where_it_is_used(width: int, channels: int, options: Any, is_fast: bool) -> None:
    kinds = kinds_of_a_layer(width, channels, tower=Tower(1, fast_convolutions=True), **options)
    assert ("BatchMatMulV2" in kinds) == is_fast


@pytest.mark.parametrize("of_tower", [{}, {"fast_convolutions": True, "precision": "bfloat16"}])
def test_where_it_is_not_allowed(of_tower: Any) -> None:
    assert "BatchMatMulV2" not in kinds_of_a_layer(16, 64, tower=Tower(1, **of_tower))


@pytest.mark.parametrize("missing", ["onednn_is_on", "is_on_cpu"])
def test_where_it_cannot_be(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, missing, lambda *_: False)
    kinds = kinds_of_a_layer(16, 64, tower=Tower(1, fast_convolutions=True))
    assert "BatchMatMulV2" not in kinds


def test_what_is_exported_is_as_written() -> None:
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.uint8, [None, 32, 32, 3])
        build_outputs(resolve({"model": "cifar_cnn"}), DATASETS["cifar10"], images)
    kinds = [op.type for op in graph.get_operations()]
    assert "BatchMatMulV2" not in kinds
    assert kinds.count("Conv2D") == 3


def network(images: Any, num_classes: int, *, training: bool) -> Any:
    """With a fast convolution, a bias and a relu that the pool goes ahead of."""
    del training
    x = layers.conv2d(images, 32, 3, padding="same", name="conv1")
    x = layers.conv2d(x, 32, 5, padding="same", activation=tf.nn.relu, name="conv2")
    x = layers.max_pooling2d(x, 2, 2, name="pool")
    return layers.dense(layers.flatten(x), num_classes, name="logits")


def test_a_run_is_the_same_but_for_rounding(tmp_path: Path) -> None:
    fast = small.finished(tmp_path / "fast", network, steps=4)
    plain = small.finished(tmp_path / "plain", network, steps=4, fast_convolutions=False)
    assert fast["conv2/kernel"].tobytes() != plain["conv2/kernel"].tobytes()
    for name, value in plain.items():
        np.testing.assert_allclose(fast[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"accumulate_steps": 2}, marks=pytest.mark.slow)], ids=str
)
def test_its_bits_do_not_depend_on_how_it_is_cut(options: Any, tmp_path: Path) -> None:
    small.assert_cuts_change_nothing(tmp_path, network, **options)


@pytest.mark.slow
def test_with_xla_it_is_left_out_of_the_step(tmp_path: Path) -> None:
    """XLA has no quick convolutions in groups on a CPU."""
    with small.make(tmp_path / "xla", network, xla=True, steps=1) as trained:
        assert trained.train()["finished"]
        definition = trained.graph.as_graph_def()
        nodes = [node for f in definition.library.function for node in f.node_def]
        assert not any(node.op == "BatchMatMulV2" for node in nodes)
        assert any(node.op == "BatchMatMulV2" for node in definition.node)  # of evaluation
