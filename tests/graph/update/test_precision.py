"""Products of 16 bits, and the scale of the loss that float16 needs."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from cnnlab import Train
from cnnlab.base.errors import UsageError
from cnnlab.base.machine import cpu_features
from cnnlab.base.tf1 import tf
from cnnlab.config.resolve import resolve
from cnnlab.data.specs import DATASETS
from cnnlab.graph.parts import Parts
from cnnlab.graph.training_graph import build_train_graph
from cnnlab.graph.update import precision as precisions
from cnnlab.graph.update.precision import LossScale
from cnnlab.models import MODELS
from cnnlab.run import device
from tests import small_run

PRODUCTS = ("Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput", "MatMul")
SGD = {"optimizer": "sgd", "schedule": "constant", "learning_rate": 0.1, "augment": []}


def nodes_in_functions(graph: Any) -> Iterator[Any]:
    """The nodes of the training loop's body and of what it calls, which are all functions."""
    for function in graph.as_graph_def().library.function:
        yield from function.node_def


def types_of(nodes: Any, ops: tuple[str, ...]) -> set[str]:
    """The types that operations compute in."""
    return {tf.as_dtype(node.attr["T"].type).name for node in nodes if node.op in ops}


def feed_of(train: Train, images: Any, labels: Any) -> dict[Any, Any]:
    return {train.images_ph: images, train.labels_ph: labels}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.slow
def test_only_products_of_the_training_step_have_16_bits(precision: str, tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", precision=precision) as train:
        inside = list(nodes_in_functions(train.graph))
        outside = list(train.graph.as_graph_def().node)
        assert train.logits.dtype == tf.float32
        assert all(v.dtype.base_dtype != precision for v in train.saver._var_list)
    assert {node.op for node in inside} >= {"Conv2D", "Conv2DBackpropFilter", "MatMul"}
    assert types_of(inside, PRODUCTS) == {precision}
    assert types_of(outside, PRODUCTS) == {"float32"}
    for op in ("FusedBatchNormV3", "ResourceApplyAdam", "MaxPool", "Sum", "Exp", "IsFinite"):
        assert types_of(inside, (op,)) <= {"float32"}, op
    assert types_of(inside, ("SparseSoftmaxCrossEntropyWithLogits",)) == {"float32"}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_graph_of_16_bits(name: str) -> None:
    spec = DATASETS["mnist" if name.startswith(("mnist", "lenet")) else "cifar10"]
    if name in ("alexnet", "inception_v3", "xray_cnn"):
        spec = dataclasses.replace(spec, image_shape=(75, 75, 3))
    config = resolve({"model": name, "precision": "bfloat16", "scaling": "unit"})
    with tf.Graph().as_default() as graph:
        built = build_train_graph(config, spec, Parts(MODELS[name]), 1000, 0)
        assert built.inference.logits.dtype == tf.float32
        assert {v.dtype.base_dtype for v in tf.trainable_variables()} == {tf.float32}
    assert "bfloat16" in types_of(nodes_in_functions(graph), PRODUCTS)


@pytest.mark.slow
def test_a_step_is_that_of_rounded_products(tmp_path: Path) -> None:
    """Against NumPy, with bfloat16 as ml_dtypes rounds it."""
    (images, labels), _ = small_run.arrays()
    with small_run.make(tmp_path / "save", small_run.linear, precision="bfloat16", **SGD) as train:
        start = small_run.variables(train)
        train.session.run(train.train_op, feed_of(train, images, labels))
        found = small_run.variables(train)["logits/kernel"] - start["logits/kernel"]

    def update(rounded: Any) -> Any:
        inputs = rounded((images / np.float32(255)).reshape(len(images), -1))
        logits = rounded(inputs @ rounded(start["logits/kernel"]))
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(labels)), labels] -= 1
        return -0.1 * rounded(inputs.T @ rounded(p / len(labels)))

    sixteen = update(lambda x: x.astype(ml_dtypes.bfloat16).astype(np.float32))
    thirty_two = update(lambda x: x)
    largest, distance = np.abs(found).max(), np.abs(found - sixteen).max()
    assert np.abs(found - thirty_two).max() > 1e-3 * largest
    if "avx512f" in cpu_features():
        assert distance < 0.02 * np.abs(found - thirty_two).max()
        assert distance < 1e-3 * largest
    else:  # TensorFlow's own kernel adds up in another order: half a unit of bfloat16's last place
        assert distance < 2**-7 * largest


@pytest.mark.slow
def test_a_scale_too_large_costs_steps_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradients overflow in float16 at the first scale, not at the one it falls to."""
    monkeypatch.setattr(precisions, "FIRST_SCALE", 2.0**20)
    (images, labels), _ = small_run.arrays()
    with small_run.make(tmp_path / "save", small_run.linear, precision="float16", **SGD) as train:
        feed = feed_of(train, images, labels)
        states = [small_run.variables(train)]
        for _ in range(6):
            train.session.run(train.train_op, feed)
            states.append(small_run.variables(train))
    scales = [float(state["loss_scale/scale"]) for state in states]
    assert scales[0] == 2.0**20
    assert scales[0] > scales[-1] == scales[-2]
    made = 0
    for before, after in itertools.pairwise(states):
        was_skipped = after["loss_scale/scale"] < before["loss_scale/scale"]
        is_same = np.array_equal(before["logits/kernel"], after["logits/kernel"])
        assert was_skipped == is_same
        assert after["global_step"] == before["global_step"] + 1
        made += not was_skipped
    assert made == states[-1]["loss_scale/finite_steps"]
    with small_run.make(tmp_path / "other", small_run.linear, **SGD) as train:
        for _ in range(made):
            train.session.run(train.train_op, feed_of(train, images, labels))
        expected = small_run.variables(train)["logits/kernel"]
    change = expected - states[0]["logits/kernel"]
    np.testing.assert_allclose(
        states[-1]["logits/kernel"], expected, rtol=0, atol=0.01 * np.abs(change).max()
    )


def test_the_scale_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubled after three finite steps, at most to the greatest; halved, at least to 1."""
    monkeypatch.setattr(precisions, "FIRST_SCALE", 4.0)
    monkeypatch.setattr(precisions, "MAX_SCALE", 8.0)
    monkeypatch.setattr(precisions, "GROWTH_STEPS", 3)
    nan, inf = float("nan"), float("inf")
    rows = [(1, 4, 1), (1, 4, 2), (1, 8, 0), (1, 8, 1), (nan, 4, 0), (1, 4, 1), (inf, 2, 0)]
    rows += [(-inf, 1, 0), (1, 1, 1), (nan, 1, 0), (1, 1, 1), (1, 1, 2), (1, 2, 0)]
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.get_or_create_global_step()
        weight = tf.get_variable("weight", [], initializer=tf.zeros_initializer())
        gradient_ph = tf.placeholder(tf.float32, [])
        scale = LossScale()

        def update() -> Any:
            with tf.control_dependencies([step.assign_add(1)]):
                return weight.assign_add(1.0).op

        update_op = scale.build_update([None, gradient_ph], update, step)
        (gradient,) = scale.gradients(3 * weight, [weight])
        session.run(tf.global_variables_initializer())
        made = 0
        for number, (value, expected, finite_steps) in enumerate(rows):
            before = session.run(scale._scale)
            session.run(update_op, {gradient_ph: value})
            found = session.run((scale._scale, scale._finite_steps, step, weight, gradient))
            made += np.isfinite(value) or before == 1
            assert found == (expected, finite_steps, number + 1, made, 3), number


@pytest.mark.slow
def test_the_precision_is_part_of_a_run(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, steps=1) as train:
        train.train()
    with (
        pytest.raises(UsageError, match=r"precision \(float32 there, bfloat16 here\)"),
        small_run.make(tmp_path / "save", small_run.linear, precision="bfloat16") as train,
    ):
        train.train()


@pytest.mark.parametrize(
    ("precision", "features", "onednn", "is_slow"),
    [
        ("float32", [], False, False),
        ("bfloat16", ["avx2", "avx512_bf16"], True, False),
        ("bfloat16", ["avx2"], True, True),
        ("bfloat16", ["amx_bf16"], False, True),
        ("float16", ["avx512_bf16"], True, True),
    ],
)
def test_a_slow_precision_is_told(
    precision: str, features: list[str], onednn: bool, is_slow: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(device, "cpu_features", lambda: features)
    monkeypatch.setattr(device, "onednn_is_on", lambda: onednn)
    text = device.describe_device(resolve({"precision": precision, "device": "cpu"}), "/cpu:0")
    assert (f"warning: {precision} is slower than float32 here" in text) is is_slow
