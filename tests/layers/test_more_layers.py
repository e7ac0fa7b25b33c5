"""The layers of other shapes, against PyTorch, and inside a training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Tower, building
from tests import small_run

torch = pytest.importorskip("torch")
F = torch.nn.functional

RNG = np.random.default_rng(0)
SHAPES = {1: (2, 9, 3), 2: (2, 9, 8, 3), 3: (2, 6, 5, 7, 3)}
X = {rank: RNG.normal(size=shape).astype(np.float32) for rank, shape in SHAPES.items()}


def first(array: Any) -> Any:
    """Return PyTorch's layout of channels-last images."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1)))


def last(tensor: Any) -> Any:
    return np.moveaxis(tensor.numpy(), 1, -1)


def computed(build: Any, rank: int) -> tuple[Any, dict[str, Any]]:
    """Return a layer's outputs and the values of its variables, all random."""
    with tf.Graph().as_default(), tf.Session() as session:
        with building(Tower(1)):
            outputs = build(tf.constant(X[rank]))
        session.run(tf.global_variables_initializer())
        values = {}
        for variable in tf.global_variables():
            values[variable.op.name.rpartition("/")[2]] = value = np.float32(
                RNG.normal(size=variable.shape)
            )
            variable.load(value, session)
        return session.run(outputs), values


def kernel_of(kernel: Any) -> Any:
    """Return PyTorch's layout [out, in, ...] of a kernel [..., in, out]."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(kernel, (-1, -2), (0, 1))))


def pads(rank: int, window: int, stride: int = 1) -> list[int]:
    """Return TensorFlow's padding of `same`, in the order of PyTorch's `pad`."""
    found: list[int] = []
    for size in reversed(SHAPES[rank][1:-1]):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        found += [total // 2, total - total // 2]
    return found


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank", [1, 3])
def test_convolutions_are_torch_s(rank: int, padding: str) -> None:
    layer = getattr(layers, f"conv{rank}d")
    found, w = computed(lambda x: layer(x, 4, 3, strides=2, padding=padding), rank)
    x = F.pad(first(X[rank]), pads(rank, 3, 2) if padding == "same" else [0] * 2 * rank)
    convolve = getattr(F, f"conv{rank}d")
    expected = convolve(x, kernel_of(w["kernel"]), torch.from_numpy(w["bias"]), stride=2)
    np.testing.assert_allclose(found, last(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 2])
def test_separable_convolutions_are_torch_s(rank: int) -> None:
    layer = getattr(layers, f"separable_conv{rank}d")
    found, w = computed(
        lambda x: layer(x, 5, 3, padding="same", depth_multiplier=2, activation="relu"), rank
    )
    convolve = getattr(F, f"conv{rank}d")
    # [..., channels, multiplier] -> [channels * multiplier, 1, ...]
    depthwise = np.moveaxis(w["depthwise_kernel"], (-2, -1), (0, 1))
    depthwise = torch.from_numpy(depthwise.reshape(6, 1, *depthwise.shape[2:]).copy())
    x = convolve(F.pad(first(X[rank]), pads(rank, 3)), depthwise, groups=3)
    x = convolve(x, kernel_of(w["pointwise_kernel"]), torch.from_numpy(w["bias"]))
    np.testing.assert_allclose(found, last(F.relu(x)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strides", [1, 2])
def test_depthwise_convolutions_are_torch_s(strides: int) -> None:
    found, w = computed(
        lambda x: layers.depthwise_conv2d(
            x, 3, strides, padding="same", depth_multiplier=2, activation="relu"
        ),
        2,
    )
    assert {name.rpartition("/")[2] for name in w} == {"depthwise_kernel", "bias"}
    windows = np.moveaxis(w["depthwise_kernel"], (-2, -1), (0, 1)).reshape(6, 1, 3, 3)
    x = F.pad(first(X[2]), pads(2, 3, strides))
    bias = torch.from_numpy(w["bias"])
    x = F.conv2d(x, torch.from_numpy(windows.copy()), bias, stride=strides, groups=3)
    np.testing.assert_allclose(found, last(F.relu(x)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank", [2, 3])
def test_transposed_convolutions_are_torch_s(rank: int, padding: str) -> None:
    layer = getattr(layers, f"conv{rank}d_transpose")
    found, w = computed(lambda x: layer(x, 4, 3, strides=2, padding=padding), rank)
    # TensorFlow's kernel is [..., out, in], PyTorch's [in, out, ...].
    kernel = torch.from_numpy(np.moveaxis(w["kernel"], (-1, -2), (0, 1)).copy())
    transpose = getattr(F, f"conv_transpose{rank}d")
    expected = last(transpose(first(X[rank]), kernel, torch.from_numpy(w["bias"]), stride=2))
    if padding == "same":  # TensorFlow cuts the row that a forward convolution would pad
        expected = expected[(slice(None), *(slice(0, 2 * n) for n in SHAPES[rank][1:-1]))]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pooling_is_torch_s(rank: int, padding: str) -> None:
    maximum, mean = (getattr(layers, f"{kind}_pooling{rank}d") for kind in ("max", "average"))
    around = pads(rank, 3, 2) if padding == "same" else [0] * 2 * rank
    x, ones = first(X[rank]), torch.ones(first(X[rank]).shape)
    pool = getattr(F, f"max_pool{rank}d")
    expected = pool(F.pad(x, around, value=-torch.inf), 3, 2)
    np.testing.assert_allclose(
        computed(lambda x: maximum(x, 3, 2, padding), rank)[0], last(expected)
    )
    pool = getattr(F, f"avg_pool{rank}d")
    expected = pool(F.pad(x, around), 3, 2) / pool(F.pad(ones, around), 3, 2)
    found = computed(lambda x: mean(x, 3, 2, padding), rank)[0]
    np.testing.assert_allclose(found, last(expected), rtol=1e-4, atol=1e-5)


def every_layer(images: Any, num_classes: int, *, training: bool) -> Any:
    """A network of all these layers."""
    x = layers.separable_conv2d(
        images, 4, 3, padding="same", activation="relu", depthwise_regularizer=small_run.l2
    )
    x = layers.average_pooling2d(x, 3, 2, padding="same")
    x = layers.conv2d_transpose(x, 3, 3, strides=2, padding="same", name="up")
    x = layers.batch_normalization(x, training=training)
    rows = tf.reshape(x, [-1, 8, 24])
    rows = layers.conv1d(rows, 6, 3, activation="relu", kernel_regularizer=small_run.l2)
    rows = layers.separable_conv1d(layers.max_pooling1d(rows, 2, 1), 5, 3)
    rows = layers.average_pooling1d(rows, 2, 1, padding="same")
    boxes = layers.conv3d(tf.reshape(x, [-1, 4, 8, 6, 1]), 2, 3, strides=2, activation="relu")
    boxes = layers.conv3d_transpose(layers.max_pooling3d(boxes, 1, 1), 2, 2, name="up3")
    boxes = layers.average_pooling3d(boxes, 2, 1)
    features = [layers.flatten(part) for part in (rows, boxes)]
    x = layers.dropout(tf.concat(features, axis=1), 0.2, training=training)
    return layers.dense(x, num_classes, kernel_constraint=lambda w: tf.clip_by_norm(w, 0.5))


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "averages, micro-batches": {"ema_decay": 0.9, "eval_weights": "ema", "micro_batches": 2},
    "bfloat16, penalties": {"precision": "bfloat16", "l2": 0.01, "layer_summaries": True},
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_training_of_every_layer_resumes_exactly(tmp_path: Path, way: str) -> None:
    options = {"steps": 6, "eval_steps": 3, "summary_steps": 3, **WAYS[way]}
    whole = small_run.run(tmp_path / "whole", every_layer, **options)
    with small_run.make(tmp_path / "start", every_layer, **options) as train:
        start = small_run.variables(train)
        trainable = [v.op.name for v in train.graph.get_collection("trainable_variables")]
    assert all((start[name] != whole[name]).any() for name in trainable)
    assert np.linalg.norm(whole["dense/kernel"]) <= 0.5001  # the constraint
    small_run.run(tmp_path / "parts", every_layer, **{**options, "steps": 3})
    parts = small_run.run(tmp_path / "parts", every_layer, **options)
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name], value, err_msg=name)
