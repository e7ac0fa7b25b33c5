"""Which convolutions are computed with fewer multiplications, and what that does to a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.config.resolve import resolve
from cnnlab.data.specs import DATASETS
from cnnlab.export.program import build_outputs
from cnnlab.graph.parts import Parts
from cnnlab.layers import tower as towers
from cnnlab.layers.kernels.choice import Kernels
from cnnlab.layers.tower import Tower, building
from tests import small_run
from tests.layers.kernels.machines import AVX2, AVX512, LACKING, pretend


def kinds_of_a_layer(width: int, channels: int, *, tower: Tower, **options: Any) -> set[str]:
    """The types of operations that a layer makes, of images as wide as high."""
    given = {"filters": channels, "kernel_size": 3, "padding": "same", **options}
    with tf.Graph().as_default() as graph:
        with building(tower):
            x = tf.placeholder(tf.float32, [None, width, width, channels])
            layers.conv2d(x, given.pop("filters"), given.pop("kernel_size"), name="conv", **given)
        kinds = {op.type for op in graph.get_operations()}
        # Where the batch counts as it runs, the way of large ones.
        branches = [op for op in graph.get_operations() if op.type.endswith("If")]
        functions = {f.signature.name: f for f in graph.as_graph_def().library.function}
        for op in branches:
            kinds.update(node.op for node in functions[op.get_attr("else_branch").name].node_def)
        return kinds


def way_of(kinds: set[str]) -> str:
    """How a convolution is computed, by its operations."""
    if "BatchMatMulV2" not in kinds:
        return "plain"
    return "winograd" if "Conv2D" in kinds else "fourier"


@pytest.mark.parametrize(
    ("width", "channels", "options", "ways"),
    [
        (6, 256, {}, "pppp"),
        (7, 64, {}, "fpwp"),
        (8, 63, {}, "pppp"),
        (8, 128, {}, "fffw"),
        (8, 128, {"filters": 127}, "fpwp"),
        (7, 128, {}, "fffp"),
        (7, 256, {}, "ffff"),
        (7, 256, {"filters": 257}, "fwfw"),
        (9, 127, {}, "wpwp"),
        (9, 128, {}, "wwww"),
        (16, 128, {}, "wwww"),
        (11, 127, {}, "wpwp"),
        (11, 63, {}, "pppp"),
        (12, 64, {}, "wwww"),
        (48, 64, {}, "wwww"),
        (49, 64, {}, "pppp"),
        (12, 63, {}, "pppp"),
        (12, 64, {"filters": 63}, "pppp"),
        (7, 32, {"kernel_size": 5}, "pppp"),
        (8, 31, {"kernel_size": 5}, "pppp"),
        (8, 32, {"kernel_size": 5, "padding": "valid"}, "ffff"),
        (24, 32, {"kernel_size": 5}, "ffff"),
        (32, 32, {"kernel_size": 5}, "fwfw"),
        (33, 32, {"kernel_size": 5}, "wwww"),
        (16, 128, {"kernel_size": (3, 5)}, "pppp"),
        (16, 128, {"kernel_size": 1}, "pppp"),
        (16, 128, {"strides": 2}, "pppp"),
        (16, 128, {"dilation_rate": 2}, "pppp"),
    ],
    ids=str,
)
def test_which_way_is_taken(
    width: int, channels: int, options: Any, ways: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Initials: in training with AVX2 alone, in inference with that, and both with AVX-512."""
    found = ""
    for avx512, batch_size in [(False, 64), (False, None), (True, 64), (True, None)]:
        pretend(monkeypatch, AVX512 if avx512 else AVX2)
        tower = Tower(1, kernels=Kernels(batch_size=batch_size))
        found += way_of(kinds_of_a_layer(width, channels, tower=tower, **options))[0]
    assert found == ways


@pytest.mark.parametrize(("channels", "side", "least"), [(32, 5, 16), (128, 3, 64)])
def test_small_batches_are_not_worth_the_transform_of_their_kernels(
    channels: int, side: int, least: int
) -> None:
    ways = []
    for batch_size in (least - 1, least):
        tower = Tower(1, kernels=Kernels(batch_size=batch_size))
        ways.append(way_of(kinds_of_a_layer(8, channels, tower=tower, kernel_size=side)))
    assert ways == ["winograd", "fourier"]


@pytest.mark.parametrize(("channels", "side", "least"), [(32, 5, 16), (256, 3, 64)])
def test_in_inference_small_batches_are_convolved_plainly(
    channels: int, side: int, least: int
) -> None:
    images = np.random.default_rng(1).standard_normal((least, 8, 8, channels), np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 8, 8, channels])
        with building(Tower(1, kernels=Kernels())):
            outputs = layers.conv2d(x, channels, side, name="conv", padding="same")
        plain = outputs.op.inputs[1] + tf.nn.conv2d(x, tf.trainable_variables()[0], 1, "SAME")
        assert outputs.shape.as_list() == [None, 8, 8, channels]
        session.run(tf.global_variables_initializer())
        for few in (0, 1, least - 1):
            found, expected = session.run([outputs, plain], {x: images[:few]})
            np.testing.assert_array_equal(found, expected)
        found, expected = session.run([outputs, plain], {x: images})
    assert not np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5)


def test_the_batch_that_counts_is_the_part_that_goes_through_the_network(tmp_path: Path) -> None:
    seen = []

    def spying(images: Any, num_classes: int, *, training: bool) -> Any:
        seen.append((training, towers.current().kernels.batch_size))
        return small_run.linear(images, num_classes, training=training)

    with small_run.make(tmp_path / "save", spying, batch_size=6, micro_batches=2) as train:
        train.build_graph()
    assert set(seen) == {(True, 3), (False, None)}


@pytest.mark.parametrize("of_tower", [{}, {"kernels": Kernels(), "precision": "bfloat16"}])
def test_where_it_is_not_allowed(of_tower: Any) -> None:
    assert way_of(kinds_of_a_layer(16, 64, tower=Tower(1, **of_tower))) == "plain"


@pytest.mark.parametrize("missing", LACKING)
def test_where_it_cannot_be(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, LACKING[missing])
    kinds = kinds_of_a_layer(16, 64, tower=Tower(1, kernels=Kernels()))
    assert way_of(kinds) == "plain"


def test_what_is_exported_is_as_written() -> None:
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.uint8, [None, 32, 32, 3])
        config = resolve({"model": "cifar_cnn"})
        build_outputs(config, DATASETS["cifar10"], Parts.of(config), images)
    kinds = [op.type for op in graph.get_operations()]
    assert "BatchMatMulV2" not in kinds
    assert kinds.count("Conv2D") == 3


def network(images: Any, num_classes: int, *, training: bool) -> Any:
    """With both fast convolutions, and a bias and a relu that the pool goes ahead of."""
    del training
    x = layers.conv2d(images, 32, 3, padding="same", name="conv1")
    x = layers.conv2d(x, 32, 5, padding="same", activation=tf.nn.relu, name="conv2")
    x = layers.max_pooling2d(x, 2, 2, name="pool")
    x = layers.zero_padding2d(x, 4)
    x = layers.conv2d(layers.conv2d(x, 64, 1, name="conv3"), 64, 3, name="conv4")
    return layers.dense(layers.flatten(x), num_classes, name="logits")


@pytest.mark.slow
def test_a_run_is_the_same_but_for_rounding(tmp_path: Path) -> None:
    # Adam goes by signs, also of what is nearly 0.
    small_run.assert_fast_is_plain(
        tmp_path, network, "conv2/kernel", batch_size=16, optimizer="sgd"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 16},
        pytest.param(
            {"batch_size": 32, "micro_batches": 2, "data": small_run.arrays(num_train=40)},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["whole", "in parts"],
)
def test_its_bits_do_not_depend_on_how_it_is_cut(options: Any, tmp_path: Path) -> None:
    small_run.assert_cuts_change_nothing(tmp_path, network, **options)


@pytest.mark.slow
def test_with_xla_it_is_left_out_of_the_step(tmp_path: Path) -> None:
    """XLA has no quick convolutions in groups on a CPU."""
    with small_run.make(tmp_path / "xla", network, xla=True, steps=1) as trained:
        assert trained.train()["finished"]
        definition = trained.graph.as_graph_def()
    kinds = [{node.op for node in f.node_def} for f in definition.library.function]
    steps = [kinds_of_one for kinds_of_one in kinds if "Conv2DBackpropFilter" in kinds_of_one]
    assert steps
    assert not any("BatchMatMulV2" in kinds_of_one for kinds_of_one in steps)
    # In evaluation it is used: in the graph, or in the branch for large batches.
    in_graph = {node.op for node in definition.node}
    assert any("BatchMatMulV2" in kinds_of_one for kinds_of_one in [in_graph, *kinds])
