"""Which dense layers multiply from padded weights, and that they give the same product."""

from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.kernels import choice, dense
from cnnlab.layers.kernels.choice import Kernels
from cnnlab.layers.tower import Tower, building
from tests import small_run
from tests.layers.kernels.machines import AVX2, AVX512, pretend


def copies_weights(rows: int | None, features: int, units: int, **given: Any) -> bool:
    """Whether a layer does so, for batches of so many rows."""
    with tf.Graph().as_default() as graph:
        with building(Tower(1, kernels=Kernels(batch_size=rows, **given))):
            layers.dense(tf.placeholder(tf.float32, [None, features]), units, name="dense")
        return "Pad" in {op.type for op in graph.get_operations()}


@pytest.fixture
def avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, AVX2)


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize(
    ("rows", "units", "expected"),
    [
        (32, 1024, True),
        (31, 1024, False),  # as long as the copy
        (354, 1024, True),
        (355, 1024, False),  # oneDNN copies them itself
        (64, 1000, False),  # not a multiple
        (64, 512, True),
        (None, 1024, False),  # inference
    ],
)
def test_few_rows_and_weights_in_even_rows(rows: int | None, units: int, expected: bool) -> None:
    assert copies_weights(rows, 2048, units) == expected


@pytest.mark.usefixtures("avx2")
def test_neither_few_weights_nor_another_product() -> None:
    assert copies_weights(64, 1024, 1024)
    assert not copies_weights(64, 1023, 1024)
    assert not copies_weights(64, 1024, 1024, is_fast=False)
    assert not copies_weights(64, 1024, 1024, compiler="step")
    assert not copies_weights(64, 1024, 1024, compiler="loop")


def test_not_with_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, AVX512)
    assert not copies_weights(64, 1024, 1024)


@pytest.mark.parametrize("use_bias", [True, False])
def test_the_product_and_its_gradients_are_right(use_bias: bool) -> None:
    rng = np.random.default_rng(1)
    x, w, b, d = (
        rng.standard_normal(shape, np.float32) for shape in ((5, 700), (700, 512), 512, (5, 512))
    )
    with tf.Graph().as_default() as graph, tf.Session() as session:
        given = [tf.constant(array) for array in (x, w, b)][: 2 + use_bias]
        y = dense.padded_product(*given)
        found = session.run([y, *tf.gradients(y, given, tf.constant(d))])
        # The gradient of w comes as it is, not by way of the copy.
        assert not [op for op in graph.get_operations() if op.type == "StridedSliceGrad"]
    x, w, b, d = (array.astype(np.float64) for array in (x, w, b, d))
    expected = [x @ w + b * use_bias, d @ w.T, x.T @ d, d.sum(0)]
    for mine, true in zip(found, expected, strict=False):
        np.testing.assert_allclose(mine, true, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.slow
def test_training_uses_it_and_comes_to_the_same(
    xla: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_layers(images: Any, num_classes: int, *, training: bool) -> Any:
        del training
        x = layers.dense(layers.flatten(images), 512, name="wide", activation=tf.nn.relu)
        return layers.dense(x, num_classes, name="logits")

    runs = []
    for least in (2**30, 1):
        monkeypatch.setattr(choice, "LEAST_WEIGHTS", least)
        monkeypatch.setattr(choice, "LEAST_ROWS", 1)
        given = {"augment": [], "steps": 3, "xla": xla}
        with small_run.make(tmp_path / str(least), two_layers, **given) as train:
            train.train()
            runs.append(small_run.variables(train))
            functions = train.graph.as_graph_def().library.function
            kinds = [node.op for function in functions for node in function.node_def]
        assert ("Pad" in kinds) == (least == 1 and not xla)
    for name, weights in runs[0].items():
        np.testing.assert_allclose(runs[1][name], weights, rtol=1e-5, atol=1e-6)
