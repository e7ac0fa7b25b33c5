"""The training step as XLA compiles it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from tests import small_run

STEPS = 6
SGD = {"optimizer": "sgd", "schedule": "constant", "augment": ["flip"], "learning_rate": 0.001}


def losses(save_dir: Path, network: Any, data: Any, **options: Any) -> Any:
    with small_run.make(save_dir, network, data, **{**SGD, **options}) as train:
        fetches = (train.train_op, train.train_graph.objective)
        return np.array([train.session.run(fetches)[1] for _ in range(STEPS)])


def normalized(images: Any, num_classes: int, *, training: bool) -> Any:
    """As small_run.network without dropout, which XLA draws other numbers for."""
    layers = small_run.layers
    x = layers.conv2d(images, 4, 3, padding="same", kernel_regularizer=small_run.l2, name="conv1")
    x = layers.batch_normalization(x, training=training, name="norm1")
    x = layers.max_pooling2d(tf.nn.relu(x), 2, 2, name="pool1")
    return layers.dense(layers.flatten(x), num_classes, name="logits")


def images_of(shape: tuple[int, int, int]) -> Any:
    rng = np.random.default_rng(4)
    images, labels = rng.integers(0, 256, (40, *shape), np.uint8), np.arange(40) % 10
    return (images, labels), (images, labels)


@pytest.mark.parametrize(
    ("network", "data"),
    [
        pytest.param(normalized, None, marks=pytest.mark.slow),
        pytest.param("mnist_perceptron", images_of((28, 28, 1)), marks=pytest.mark.slow),
        pytest.param("mnist_mlp", images_of((28, 28, 1)), marks=pytest.mark.slow),
        pytest.param("lenet5_1998", images_of((28, 28, 1)), marks=pytest.mark.slow),
        pytest.param("cifar_cnn", images_of((32, 32, 3)), marks=pytest.mark.slow),
        pytest.param("cifar_vgg1", images_of((32, 32, 3)), marks=pytest.mark.slow),
        pytest.param("resnet20", images_of((32, 32, 3)), marks=pytest.mark.slow),
    ],
)
def test_losses_are_the_same_but_for_rounding(network: Any, data: Any, tmp_path: Path) -> None:
    found = losses(tmp_path / "xla", network, data, xla=True)
    expected = losses(tmp_path / "plain", network, data)
    assert len(set(found.tolist())) == STEPS
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert not np.array_equal(found, expected)  # XLA has indeed made other code of it


@pytest.mark.slow
def test_the_whole_step_is_one_compiled_operation(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, xla=True, steps=2) as train:
        definition = train.graph.as_graph_def()
        compiled = [
            node
            for function in definition.library.function
            for node in function.node_def
            if node.attr["_XlaMustCompile"].b
        ]
        assert len(compiled) == 1
        functions = {f.signature.name: f for f in definition.library.function}
        inside = {node.op for node in functions[compiled[0].attr["f"].func.name].node_def}
        assert inside >= {"MatMul", "SparseSoftmaxCrossEntropyWithLogits", "ResourceApplyAdam"}
        assert train.train()["finished"]


KINDS: dict[str, dict[str, Any]] = {
    "adam": {},
    "averages": {"optimizer": "muon", "ema_decay": 0.9, "lookahead_steps": 2},
    "bfloat16": {"precision": "bfloat16", "optimizer": "momentum", "schedule": "cosine"},
    "float16": {"precision": "float16", "schedule": "plateau", "on_nan": "rollback"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_stopping_and_fusing_change_no_bit(kind: str, tmp_path: Path) -> None:
    options = {**small_run.BUSY, "xla": True, **KINDS[kind]}
    whole = small_run.run(tmp_path / "whole", steps_per_run=1, **options)
    for number, steps_per_run in enumerate((5, 20)):
        found = small_run.run(tmp_path / f"fused{number}", steps_per_run=steps_per_run, **options)
        small_run.assert_same_bits(whole, found)
    with small_run.make(tmp_path / "stopped", hooks=[small_run.StopAt(5)], **options) as train:
        assert train.train()["finished"] is False
    small_run.assert_same_bits(whole, small_run.run(tmp_path / "stopped", **options))


@pytest.mark.slow
def test_an_operation_that_it_cannot_compile_is_named(tmp_path: Path) -> None:
    def in_python(images: Any, num_classes: int, *, training: bool) -> Any:
        if training:
            shape = images.shape
            images = tf.ensure_shape(tf.py_func(lambda x: x, [images], tf.float32), shape)
        return small_run.linear(images, num_classes, training=training)

    with (
        small_run.make(tmp_path / "save", in_python, xla=True) as train,
        pytest.raises(CnnlabError, match=r"training after step 0: .*PyFunc"),
    ):
        train.train()


def test_what_it_cannot_compile_is_refused() -> None:
    with pytest.raises(UsageError, match="--xla cannot compile the loop of --micro_batches"):
        Train(xla=True, micro_batches=2)
