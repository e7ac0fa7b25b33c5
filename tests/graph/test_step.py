"""A step with pools in it is the call of a function, for oneDNN's sake, and computes the same."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from cnnlab import Train, layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import onednn_is_on, tf
from cnnlab.graph import step
from cnnlab.run.tensorboard.profile import Profile
from tests import small_run

pytestmark = pytest.mark.skipif(not onednn_is_on(), reason="TensorFlow is without oneDNN here")


def loop_bodies(train: Train) -> list[Any]:
    """The functions that loops have as bodies."""
    definition = train.graph.as_graph_def()
    functions = {function.signature.name: function for function in definition.library.function}
    nodes = [*definition.node, *(node for f in functions.values() for node in f.node_def)]
    return [functions[node.attr["body"].func.name] for node in nodes if "body" in node.attr]


def kinds(train: Train) -> set[str]:
    """The kernels of one step."""
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    train.session.run(
        train.train_graph.train_op, {train.steps_ph: 1}, options=options, run_metadata=metadata
    )
    profile = Profile([])
    profile.add(1, metadata)
    figures = profile.figures()
    assert figures is not None
    return {row["name"] for row in figures["kinds"]}


@pytest.mark.parametrize("micro_batches", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_gradients_of_pools_are_not_in_a_loop(micro_batches: int, tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", micro_batches=micro_batches) as train:
        bodies = loop_bodies(train)
        assert len(bodies) == micro_batches
        assert not [n for body in bodies for n in body.node_def if n.op.startswith("MaxPool")]
        ran = kinds(train)
    assert {"_MklNativeMaxPool", "_MklNativeMaxPoolGrad"} <= ran
    assert "StatefulPartitionedCall" not in ran  # what it runs is there itself


def test_a_network_without_pools_needs_no_call(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear) as train:
        [body] = loop_bodies(train)
    assert not [node for node in body.node_def if "Call" in node.op]


@pytest.mark.parametrize("micro_batches", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_the_call_changes_no_bit(
    micro_batches: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for folder in ("apart", "inline"):
        with small_run.make(tmp_path / folder, micro_batches=micro_batches) as train:
            in_loops = {node.op for body in loop_bodies(train) for node in body.node_def}
            assert ("MaxPoolGrad" in in_loops) == (folder == "inline")
            train.train()
            ends.append(small_run.variables(train))
        monkeypatch.setattr(step, "isolates_pools", lambda *_, **__: False)
    small_run.assert_same_bits(*ends)


def more_in_training(images: Any, num_classes: int, *, training: bool) -> Any:
    x = layers.flatten(images)
    if training:
        x = layers.dense(x, 8, name="extra")
    return layers.dense(x, num_classes, name=f"logits_{x.shape[1]}")


def keras_layer(images: Any, num_classes: int, *, training: bool) -> Any:
    del training
    return tf_keras.layers.Dense(num_classes)(layers.flatten(images))


def keras_3_layer(images: Any, num_classes: int, *, training: bool) -> Any:
    del training
    keras = importlib.import_module("keras")
    return keras.layers.Dense(num_classes)(layers.flatten(images))


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (more_in_training, "in training the model makes variables that inference"),
        (keras_layer, r"\(in keras_layer\): layers of Keras cannot be trained here"),
        (keras_3_layer, r"\(in keras_3_layer\): layers of Keras cannot be trained here"),
    ],
)
def test_a_model_that_trains_other_variables_is_refused(
    network: Any, problem: str, tmp_path: Path
) -> None:
    """Evaluation would be of weights that are never trained."""
    with (
        small_run.make(tmp_path / "save", network) as train,
        pytest.raises(CnnlabError, match=problem),
    ):
        train.build_graph()


@pytest.mark.slow
def test_fewer_fed_images_than_parts_make_fewer_parts(tmp_path: Path) -> None:
    (images, labels), _ = small_run.arrays()
    weights = []
    for parts in (1, 3):
        options = {"optimizer": "sgd", "augment": [], "micro_batches": parts}
        folder = tmp_path / str(parts)
        with small_run.make(folder, small_run.linear, **options) as train:
            feed = {train.images_ph: images[:2], train.labels_ph: labels[:2]}
            train.session.run(train.train_op, feed)
            weights.append(small_run.variables(train)["logits/kernel"])
    assert np.isfinite(weights[1]).all()
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-5, atol=1e-7)
