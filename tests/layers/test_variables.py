"""Variables of a model, shared by all copies of the network."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train, layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import LayerDefaults, Tower, building
from tests import small_run


def starts(
    *builders: Any, seed: int = 1, defaults: LayerDefaults | None = None, average: str | None = None
) -> dict[str, Any]:
    """Return the variables' starts, after a tower was built by each of the functions."""
    with tf.Graph().as_default(), tf.Session() as session:
        for build in builders:
            with building(Tower(seed, defaults=defaults, average=average)):
                build()
        session.run(tf.global_variables_initializer())
        return session.run({v.op.name: v for v in tf.global_variables()})


def weight(shape: list[int], **kwargs: Any) -> Any:
    """Return the weight of the classic idiom."""
    return tf.Variable(tf.truncated_normal(shape, stddev=0.1), **kwargs)


def test_names_are_tensorflow_1_s() -> None:
    """As in a graph of TensorFlow 1, with its own names of variables."""

    def build() -> None:
        weight([3, 3])
        tf.Variable(tf.zeros([3]))
        weight([2], name="w")
        weight([2], name="w")
        with tf.name_scope("conv1"):
            weight([2], name="W")
            tf.Variable(0.5)
        with tf.name_scope("conv1"):
            weight([2], name="W")
        with tf.variable_scope("conv2"):
            weight([2], name="W")
            tf.get_variable("V", [2])

    with tf.Graph().as_default():
        build()
        expected = [v.op.name for v in tf.global_variables()]
    assert list(starts(build)) == expected
    assert expected[:4] == ["Variable", "Variable_1", "w", "w_1"]
    assert list(starts(build, build, build)) == expected


def test_the_start_depends_only_on_seed_and_name() -> None:
    def alone() -> None:
        weight([4, 5], name="w")

    def after_another() -> None:
        tf.random_uniform([3])
        weight([4, 5], name="v")
        weight([4, 5], name="w")

    found = starts(after_another)
    assert (found["v"] != found["w"]).any()
    np.testing.assert_array_equal(starts(alone)["w"], found["w"])
    assert (starts(alone, seed=2)["w"] != found["w"]).any()

    def by_get_variable() -> None:
        tf.get_variable("w", [4, 5], initializer=tf.truncated_normal_initializer(stddev=0.1))

    np.testing.assert_array_equal(starts(by_get_variable)["w"], found["w"])


@pytest.mark.slow
def test_the_start_is_the_same_in_another_process() -> None:
    code = """
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Tower, building
with tf.Graph().as_default(), tf.Session() as session:
    with building(Tower(1)):
        w = tf.Variable(2 * tf.nn.relu(tf.random.normal([3]) + tf.random_uniform([3])), name="w")
    session.run(tf.global_variables_initializer())
    print(session.run(w).tobytes().hex())
"""
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1
    assert len(found.pop()) == 2 * 3 * 4 + 1


@pytest.mark.slow
def test_the_start_is_the_same_with_deterministic_operations() -> None:
    """Then TensorFlow itself gives each operation a seed, which depends on those before."""
    code = """
import tensorflow
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import Tower, building
for is_deterministic in (False, True):
    if is_deterministic:
        tensorflow.config.experimental.enable_op_determinism()
    graph = tf.Graph()
    with building_in(graph), building(Tower(1)):
        tf.Variable(tf.random.normal([3]))
        w = tf.Variable(tf.random.normal([3]), name="w")
        v = tf.Variable(tf.random.normal([3], seed=5), name="v")
        init_op = tf.global_variables_initializer()
    with tf.Session(graph=graph) as session:
        session.run(init_op)
        print(session.run([w, v]))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, second = found.stdout.splitlines()
    assert first == second


def test_a_seed_of_the_users_own_stays() -> None:
    def build() -> None:
        tf.Variable(tf.random_normal([4], seed=5), name="w")

    np.testing.assert_array_equal(starts(build, seed=1)["w"], starts(build, seed=2)["w"])


def test_initial_values_of_every_kind() -> None:
    def build() -> None:
        first = tf.Variable(lambda: tf.random_normal([2, 3]), name="function")
        tf.Variable(first.initialized_value(), name="copy")
        tf.Variable(0.5 * first.initialized_value(), name="half")
        tf.Variable(np.arange(3.0, dtype=np.float32), name="array")
        tf.Variable([1, 2], dtype=tf.float32, name="list")
        tf.Variable(7, name="count")
        tf.get_variable("by_array", initializer=np.eye(2, dtype=np.float32))
        tf.get_variable("by_tensor", initializer=tf.random_normal([4]))
        tf.get_variable("by_class", [2], initializer=tf.ones_initializer)
        tf.get_variable("by_function", [4], initializer=lambda shape, **_: tf.random_normal(shape))

    found, again = starts(build), starts(build, build)
    for name, value in found.items():
        np.testing.assert_array_equal(value, again[name], err_msg=name)
    np.testing.assert_array_equal(found["copy"], found["function"])
    np.testing.assert_array_equal(found["half"], 0.5 * found["function"])
    np.testing.assert_array_equal(found["array"], [0, 1, 2])
    assert found["list"].dtype == np.float32
    assert found["count"] == 7
    assert found["count"].dtype == np.int32
    np.testing.assert_array_equal(found["by_array"], np.eye(2))
    assert (found["by_tensor"] != found["by_function"]).all()


def test_kernel_initializer_reaches_every_kernel_and_nothing_else() -> None:
    def build() -> None:
        weight([4, 4], name="plain")
        weight([4], name="bias")
        weight([4, 4], name="constant", trainable=False)
        tf.get_variable("got", [4, 4], initializer=tf.ones_initializer())
        tf.get_variable("array", initializer=np.ones([4, 4], np.float32))
        tf.Variable(np.ones([2, 2], np.int32), name="integers")
        layers.dense(tf.zeros([1, 4]), 4, name="dense", kernel_initializer="he_normal")

    found = starts(build, defaults=LayerDefaults("zeros"))
    zeros = {name for name, value in found.items() if not value.any()}
    assert zeros == {"plain", "got", "array", "dense/kernel", "dense/bias"}
    assert not {"plain", "got", "array"} & {n for n, v in starts(build).items() if not v.any()}


def test_averages_start_as_their_variables() -> None:
    def build() -> Any:
        return weight([4, 4], name="w"), tf.Variable(3, name="count")

    found = starts(build, average="ema")
    assert list(found) == ["w", "ema/w", "count"]
    np.testing.assert_array_equal(found["w"], found["ema/w"])


def test_one_name_cannot_mean_two_variables() -> None:
    def both() -> None:
        tf.Variable(tf.zeros([2]), name="w")
        tf.get_variable("w", [2])

    with pytest.raises(CnnlabError, match=r"makes w by tf.Variable and again by tf.get_variable"):
        starts(both)

    def twice() -> None:
        tf.get_variable("w", [2])
        tf.get_variable("w", [2])

    with pytest.raises(CnnlabError, match="makes the variable w twice"):
        starts(twice)

    def other_order() -> None:
        tf.get_variable("w", [2])
        tf.Variable(tf.zeros([3]), name="w")

    assert starts(other_order)["w_1"].shape == (3,)


def test_sharing_within_a_variable_scope() -> None:
    def build() -> None:
        x = tf.zeros([1, 4, 4, 2])
        for reuse in (None, True):
            with tf.variable_scope("twin", reuse=reuse):
                tf.get_variable("w", [2])
                layers.conv2d(x, 3, 3, name="conv")
        with tf.variable_scope("twin", reuse=True):
            tf.get_variable("conv/kernel", [3, 3, 2, 3])
        layers.conv2d(x, 3, 3, name="conv")
        layers.conv2d(x, 3, 3, name="conv", reuse=True)
        layers.conv2d(x, 3, 3, name="conv")

    expected = ["twin/w", *(f"{n}/{w}" for n in ("twin/conv", "conv", "conv_2") for w in "kb")]
    short = [name.replace("/kernel", "/k").replace("/bias", "/b") for name in starts(build, build)]
    assert short == expected
    with pytest.raises(CnnlabError, match=r"reuse=True: there is no earlier layer other"):
        starts(lambda: layers.conv2d(tf.zeros([1, 4, 4, 2]), 3, 3, name="other", reuse=True))


def test_variables_that_only_training_makes_are_refused(tmp_path: Path) -> None:
    def net(images: Any, num_classes: int, *, training: bool) -> Any:
        if training:
            images *= tf.Variable(1.0, name="gain")
        return layers.dense(layers.flatten(images), num_classes)

    with (
        Train(model=net, dataset="shapes", save_dir=tmp_path) as train,
        pytest.raises(CnnlabError, match=r"\(in net\): in training the model makes the variable g"),
    ):
        train.build_graph()


@pytest.mark.parametrize("use_resource", [False, None])
def test_get_variable_without_resources(tmp_path: Path, use_resource: bool | None) -> None:
    def net(images: Any, num_classes: int, *, training: bool) -> Any:
        x = layers.flatten(images)
        matrix = tf.get_variable("w", [int(x.shape[1]), num_classes], use_resource=use_resource)
        return tf.matmul(x, matrix)

    found = small_run.run(tmp_path, model=net, model_options={}, steps=2)
    assert np.isfinite(found["w"]).all()
