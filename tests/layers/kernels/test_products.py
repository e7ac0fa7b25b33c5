"""The gradients of matrix products, against NumPy and against TensorFlow's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.kernels import choice, products
from tests import small_run

WIDE, NARROW = (512, 512), (512, 511)  # numbers enough, and a row too few
FEW_COLUMNS = (784, 10)


def gradients(
    weights_shape: tuple[int, int], *, transposed: bool = False, fast: bool = True
) -> tuple[list[Any], list[Any], list[Any]]:
    """Those of sum(x w * d) for x and w by the graph, the same by NumPy, and the products in the
    graph."""
    rng = np.random.default_rng(1)
    w = rng.standard_normal(weights_shape, np.float32)
    x = rng.standard_normal((3, w.shape[1 if transposed else 0]), np.float32)
    d = rng.standard_normal((3, w.shape[0 if transposed else 1]), np.float32)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tensors = tf.constant(x), tf.constant(w)
        if fast:
            with products.fast_product_gradients():
                y = tf.matmul(*tensors, transpose_b=transposed)
        else:
            y = tf.matmul(*tensors, transpose_b=transposed)
        found = session.run(tf.gradients(y, tensors, tf.constant(d)))
        made = [op for op in graph.get_operations() if op.type == "MatMul"]
    x, w, d = (array.astype(np.float64) for array in (x, w, d))
    expected = [d @ w, d.T @ x] if transposed else [d @ w.T, x.T @ d]
    return list(found), expected, made


@pytest.mark.parametrize("shape", [WIDE, NARROW, FEW_COLUMNS, (512 * 52, 10)])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_gradients_are_right(shape: tuple[int, int], transposed: bool) -> None:
    found, expected, _ = gradients(shape, transposed=transposed)
    for mine, true in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, true, rtol=1e-4, atol=1e-4)


def test_a_wide_matrix_is_not_transposed() -> None:
    for shape, count in ((WIDE, 0), (NARROW, 1)):
        transposed = [op for op in gradients(shape)[2] if op.get_attr("transpose_b")]
        assert len(transposed) == count


def test_the_gradient_of_few_columns_has_them_as_rows_first() -> None:
    for rows, columns in ((512, 10), (511, 10), (512, 11)):
        shapes = [op.outputs[0].shape.as_list() for op in gradients((rows, columns))[2]]
        assert ([columns, rows] in shapes) == ((rows, columns) == (512, 10))
        assert [rows, columns] in shapes


def test_put_into_order_it_keeps_its_bits() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        d, x = tf.random.normal([100, 10], seed=1), tf.random.normal([100, 784], seed=2)
        with products.fast_product_gradients():
            y = tf.matmul(x, tf.ones([784, 10]))
        (gradient,) = tf.gradients(y, y.op.inputs[1], d)
        turned = tf.matmul(d, x, transpose_a=True)
        found, expected = session.run((gradient, turned))
        assert found.tobytes() == expected.T.tobytes()


def test_narrow_products_keep_their_bits() -> None:
    for mine, own in zip(gradients(NARROW)[0], gradients(NARROW, fast=False)[0], strict=True):
        assert mine.tobytes() == own.tobytes()


@pytest.mark.slow
def test_training_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def two_layers(images: Any, num_classes: int, *, training: bool) -> Any:
        del training
        return layers.dense(layers.dense(layers.flatten(images), 7), num_classes)

    runs = []
    for least in (1, 1000):
        monkeypatch.setattr(choice, "WIDE_WEIGHTS", least)
        with small_run.make(tmp_path / str(least), two_layers, steps=2) as train:
            train.train()
            runs.append(small_run.variables(train))
            nodes = [
                node for f in train.graph.as_graph_def().library.function for node in f.node_def
            ]
        products_of_body = [node for node in nodes if node.op == "MatMul"]
        assert any(n.attr["transpose_b"].b for n in products_of_body) == (least == 1000)
    for name, weights in runs[0].items():
        np.testing.assert_allclose(weights, runs[1][name], rtol=1e-5, atol=1e-6)
