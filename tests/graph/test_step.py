"""A step with pools in it is the call of a function, for oneDNN's sake, and computes the same."""

from pathlib import Path
from typing import Any

import pytest

from cnnlab import Train
from cnnlab.base.tf1 import onednn_is_on, tf
from cnnlab.graph import step
from cnnlab.run.tensorboard.profile import Profile
from tests import small as tiny

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


@pytest.mark.parametrize("accumulate_steps", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_gradients_of_pools_are_not_in_a_loop(accumulate_steps: int, tmp_path: Path) -> None:
    with tiny.make(tmp_path / "save", accumulate_steps=accumulate_steps) as train:
        bodies = loop_bodies(train)
        assert len(bodies) == accumulate_steps
        assert not [n for body in bodies for n in body.node_def if n.op.startswith("MaxPool")]
        ran = kinds(train)
    assert {"_MklNativeMaxPool", "_MklNativeMaxPoolGrad"} <= ran
    assert "StatefulPartitionedCall" not in ran  # what it runs is there itself


def test_a_network_without_pools_needs_no_call(tmp_path: Path) -> None:
    with tiny.make(tmp_path / "save", network=tiny.linear) as train:
        [body] = loop_bodies(train)
    assert not [node for node in body.node_def if "Call" in node.op]


@pytest.mark.parametrize("accumulate_steps", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_call_changes_no_bit(
    accumulate_steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for folder in ("apart", "inline"):
        with tiny.make(tmp_path / folder, accumulate_steps=accumulate_steps) as train:
            in_loops = {node.op for body in loop_bodies(train) for node in body.node_def}
            assert ("MaxPoolGrad" in in_loops) == (folder == "inline")
            train.train()
            ends.append(tiny.variables(train))
        monkeypatch.setattr(step, "isolates_pools", lambda *_, **__: False)
    tiny.assert_same_bits(*ends)
