"""Batch norm by convolutions, against its definition and against TensorFlow's own."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base import tf1
from cnnlab.base.tf1 import tf
from cnnlab.layers.kernels import batch_norm
from cnnlab.layers.kernels.choice import Kernels
from cnnlab.layers.tower import Tower, building
from cnnlab.models.resnet import resnet20
from tests import small_run
from tests.layers.kernels.machines import AVX2, AVX512, LACKING, pretend

# batch, height, width, channels
SHAPES = [(3, 6, 6, 16), (2, 7, 9, 20), (5, 12, 8, 3), (1, 6, 6, 72)]


@pytest.fixture(autouse=True)
def avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, AVX2)


def random(*shape: int, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def by_definition(x: Any, gamma: Any, beta: Any, epsilon: float, of_outputs: Any) -> Any:
    """Outputs, mean, unbiased variance and the three gradients, in float64."""
    x, gamma, of_outputs = (a.astype(np.float64) for a in (x, gamma, of_outputs))
    places = (0, 1, 2)
    mean, variance = x.mean(places), x.var(places)
    deviation = np.sqrt(variance + epsilon)
    normal = (x - mean) / deviation
    of_normal = of_outputs * gamma
    of_x = of_normal - of_normal.mean(places) - normal * (of_normal * normal).mean(places)
    return (
        normal * gamma + beta,
        mean,
        x.var(places, ddof=1),
        of_x / deviation,
        (of_outputs * normal).sum(places),
        of_outputs.sum(places),
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("middle", "tolerance"), [(0.0, 1e-5), (-3.0, 1e-5), (1000.0, 5e-3)], ids=str
)
def test_outputs_and_gradients(shape: tuple[int, ...], middle: float, tolerance: float) -> None:
    channels = shape[3]
    x = random(*shape, seed=1) * np.float32(0.5) + np.float32(middle)
    gamma, beta, of_outputs = (
        random(*shape, seed=seed)
        for seed, shape in ((2, (channels,)), (3, (channels,)), (4, shape))
    )
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = [tf.constant(a) for a in (x, gamma, beta)]
        outputs, mean, variance = batch_norm.normalize(*inputs, 1e-3)
        gradients = tf.gradients(outputs, inputs, tf.constant(of_outputs))
        found = session.run([outputs, mean, variance, *gradients])
    expected = by_definition(x, gamma, beta, 1e-3, of_outputs)
    for number, (a, b) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(a, b, tolerance, 10 * tolerance, err_msg=str(number))


def test_channels_that_never_change() -> None:
    x = np.zeros((2, 6, 6, 16), np.float32)
    x[..., 1] = 1e4
    with tf.Graph().as_default(), tf.Session() as session:
        ones, zeros = tf.ones([16]), tf.zeros([16])
        outputs, mean, variance = session.run(
            batch_norm.normalize(tf.constant(x), ones, zeros, 1e-3)
        )
    np.testing.assert_array_equal(variance, 0)
    np.testing.assert_array_equal(mean, x[0, 0, 0])
    np.testing.assert_allclose(outputs, 0, atol=1e-2)  # 1e4 as a multiple of it and a summand


def of_a_layer(
    inputs: Any, *, fast_kernels: bool, training: bool = True, **options: Any
) -> tuple[list[str], dict[str, Any]]:
    """Kinds of operations, and what it computes: outputs, gradient, moving averages."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.constant(inputs)
        with building(
            Tower(1, kernels=Kernels(is_fast=fast_kernels, batch_size=4 if training else None))
        ):
            outputs = layers.batch_normalization(x, training=training, name="norm", **options)
        results = {"outputs": outputs, "gradient": tf.gradients(tf.square(outputs), x)[0]}
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        session.run(tf.global_variables_initializer())
        found = session.run(results)
        session.run(updates)
        found.update(session.run({v.op.name: v for v in tf.global_variables()}))
        return [op.type for op in graph.get_operations()], found


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (2, {}),
        (2e-3, {"momentum": 0.6, "epsilon": 1e-7}),  # of the size of the variance
        (2, {"scale": False}),
        (2, {"center": False}),
    ],
    ids=str,
)
def test_the_layer_is_tensorflow_s(size: float, options: Any) -> None:
    inputs = np.float32(size) * (random(4, 6, 7, 16, seed=1) + np.float32(0.5))
    kinds, found = of_a_layer(inputs, fast_kernels=True, **options)
    own_kinds, expected = of_a_layer(inputs, fast_kernels=False, **options)
    assert "FusedBatchNormV3" in own_kinds
    assert "FusedBatchNormV3" not in kinds
    assert found.keys() == expected.keys()
    assert np.all(found["norm/moving_mean"] != 0)
    assert not np.allclose(found["norm/moving_variance"], 1)
    for name, value in expected.items():
        smallest = 1e-5 * max(1, np.abs(value).max())
        np.testing.assert_allclose(found[name], value, 1e-4, smallest, err_msg=name)


@pytest.mark.parametrize(
    ("shape", "options", "is_fast"),
    [
        ((2, 6, 6, 16), {}, True),
        ((2, 6, 6, 20), {}, True),
        ((2, 5, 7, 16), {}, False),
        ((2, 6, 6, 8), {}, False),
        ((2, 36, 16), {}, False),
        ((2, 6, 6, 16), {"axis": 1}, False),
        ((2, 6, 6, 16), {"fused": False}, False),
        ((2, 6, 6, 16), {"trainable": False}, False),
        ((2, 6, 6, 16), {"renorm": True}, False),
        ((2, 6, 6, 16), {"virtual_batch_size": 2}, False),
        ((2, 6, 6, 16), {"training": False}, False),
    ],
    ids=str,
)
def test_where_it_is_used(shape: tuple[int, ...], options: Any, is_fast: bool) -> None:
    kinds, _ = of_a_layer(random(*shape, seed=1), fast_kernels=True, **options)
    assert ("PartitionedCall" in kinds) == is_fast


@pytest.mark.parametrize("missing", ["CPU", "oneDNN"])
def test_where_it_cannot_be(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, LACKING[missing])
    kinds, _ = of_a_layer(random(2, 6, 6, 16, seed=1), fast_kernels=True)
    assert "PartitionedCall" not in kinds


@pytest.mark.parametrize(("channels", "is_fast"), [(16, False), (24, True)])
def test_with_avx512(channels: int, is_fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, AVX512)
    kinds, _ = of_a_layer(random(2, 6, 6, channels, seed=1), fast_kernels=True)
    assert ("PartitionedCall" in kinds) == is_fast


@pytest.mark.parametrize(
    ("features", "variables", "expected"),
    [
        (["avx2", "avx512f"], {}, True),
        (["avx2"], {}, False),
        (["avx2", "avx512f"], {"ONEDNN_MAX_CPU_ISA": "avx2"}, False),
        (["avx2", "avx512f"], {"DNNL_MAX_CPU_ISA": "AVX2_VNNI"}, False),
        (["avx2", "avx512f"], {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, True),
    ],
    ids=str,
)
def test_what_onednn_uses(
    features: list[str], variables: Any, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tf1, "cpu_features", lambda: features)
    assert tf1.onednn_uses_avx512() == expected


CONV = {"filters": 16, "kernel_size": 3, "name": "conv"}


def of_inference(*, fast_kernels: bool, conv: Any, norm: Any, tower: Any) -> tuple[list[str], Any]:
    """Kinds of operations and outputs of a convolution and a batch norm of random variables."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        with building(Tower(1, **{"kernels": Kernels(is_fast=fast_kernels), **tower})):
            x = layers.conv2d(tf.constant(random(4, 9, 8, 6, seed=1)), **{**CONV, **conv})
            x = layers.batch_normalization(x, **{"training": False, "name": "norm", **norm})
        session.run(tf.global_variables_initializer())
        for seed, variable in enumerate(tf.global_variables()):
            variable.load(np.abs(random(*variable.shape, seed=seed)) + 0.1, session)
        return [op.type for op in graph.get_operations()], session.run(x)


@pytest.mark.parametrize(
    "conv",
    [
        {},
        {"use_bias": False, "padding": "same"},
        {"strides": (2, 1), "padding": "same"},
    ],
    ids=str,
)
@pytest.mark.parametrize("norm", [{}, {"epsilon": 0.5, "scale": False}, {"center": False}], ids=str)
def test_in_inference_it_is_part_of_the_convolution(conv: Any, norm: Any) -> None:
    given = {"conv": conv, "norm": norm, "tower": {}}
    kinds, found = of_inference(fast_kernels=True, **given)
    own_kinds, expected = of_inference(fast_kernels=False, **given)
    assert "FusedBatchNormV3" in own_kinds
    assert "FusedBatchNormV3" not in kinds
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5)


@pytest.mark.parametrize(
    ("conv", "norm", "tower"),
    [
        ({"activation": "relu"}, {}, {}),
        ({"dilation_rate": 2}, {}, {}),  # images are rearranged after that
        ({}, {"training": True}, {}),
        ({}, {"axis": 1}, {}),
        ({}, {"renorm": True}, {}),
        (
            {},
            {},
            {"kernels": Kernels(batch_size=4)},
        ),  # a layer that is not trained, in a training network
        ({}, {}, {"precision": "bfloat16"}),
    ],
    ids=str,
)
def test_where_it_is_no_part_of_a_convolution(conv: Any, norm: Any, tower: Any) -> None:
    kinds, _ = of_inference(fast_kernels=True, conv=conv, norm=norm, tower=tower)
    assert kinds.count("Conv2D") == 1


@pytest.mark.skipif(not tf1.onednn_is_on(), reason="TensorFlow's own kernels add no images")
@pytest.mark.slow
def test_a_residual_block_is_two_operations_in_inference() -> None:
    """A bias, a sum and a relu are done by the convolution before them, whoever reads the block."""
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, 32, 32, 3])
        with building(Tower(1, kernels=Kernels())):
            logits = resnet20(images, 10, training=False)
        session.run(tf.global_variables_initializer())
        ran = tf.RunMetadata()
        options = tf.RunOptions(output_partition_graphs=True)
        session.run(logits, {images: np.zeros((2, 32, 32, 3))}, options, ran)
    kinds = Counter(node.op for graph in ran.partition_graphs for node in graph.node)
    assert kinds["_MklNativeFusedConv2D"] + kinds["_MklNativePadWithFusedConv2D"] == 19
    assert kinds["Relu"] == 2  # of blocks whose shortcut is filled up with zeros


def network(images: Any, num_classes: int, *, training: bool) -> Any:
    """Two normalized layers; what the first one gets is far from zero."""
    x = layers.batch_normalization(images + 100.0, training=training, name="norm1")
    x = layers.conv2d(x, 16, 3, padding="same", use_bias=False, name="conv")
    x = layers.batch_normalization(x, training=training, name="norm2")
    x = layers.max_pooling2d(layers.activate(x, "relu", name="relu"), 2, 2, name="pool")
    return layers.dense(layers.flatten(x), num_classes, name="logits")


@pytest.mark.slow
def test_a_run_is_the_same_but_for_rounding(tmp_path: Path) -> None:
    small_run.assert_fast_is_plain(tmp_path, network, "conv/kernel")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, pytest.param({"micro_batches": 2}, marks=pytest.mark.slow)], ids=str
)
def test_its_bits_do_not_depend_on_how_it_is_cut(options: Any, tmp_path: Path) -> None:
    small_run.assert_cuts_change_nothing(tmp_path, network, **options)
