"""The graph as TensorBoard draws it."""

from pathlib import Path
from typing import Any

import pytest

from cnnlab.base.tf1 import onednn_is_on, tf
from cnnlab.run.tensorboard.drawn_graph import DrawnGraph
from tests import small_run

BOXES = {"input", "model", "loss", "optimizer", "metrics", "training", "evaluation"}
EVERYTHING = {
    "micro_batches": 2,
    "optimizer": "momentum",
    "momentum": 0.9,
    "ema_decay": 0.9,
    "scaling": "normalize",
    "on_nan": "rollback",
    "schedule": "plateau",
    "layer_summaries": True,
}


@pytest.mark.parametrize("options", [{}, pytest.param(EVERYTHING, marks=pytest.mark.slow)])
def test_few_boxes_and_no_missing_edges(options: dict[str, Any], tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", **options) as train:
        graph = train.graph
        before = graph.as_graph_def().SerializeToString(deterministic=True)
        drawn = DrawnGraph(graph)
        assert graph.as_graph_def().SerializeToString(deterministic=True) == before
    nodes = {node.name: node for node in drawn.definition.node}
    assert len(nodes) == len(drawn.definition.node)  # no name appears twice
    assert {name.split("/")[0] for name in nodes} == BOXES
    inputs = {name: {i.lstrip("^").split(":")[0] for i in nodes[name].input} for name in nodes}
    assert all(found <= set(nodes) for found in inputs.values())
    assert drawn.definition.ByteSize() < 1_000_000

    def reach(name: str) -> set[str]:
        """Return all nodes that a node is computed from."""
        found, waiting = set(), [name]
        while waiting:
            new = inputs[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    # The loss is computed from the step's own network, with its images and variables.
    assert {"model/conv1/kernel", "model/conv1/Conv2D", "input/data/OneShotIterator"} <= reach(
        "metrics/loss"
    )
    assert any(name.startswith("optimizer/gradients/") for name in nodes)
    if not options:
        update = next(node for node in nodes.values() if node.op == "ResourceApplyAdam")
        assert update.name.startswith("optimizer/")
        assert "model/conv1/Conv2D" in reach(update.name)
        assert "optimizer/conv1/kernel/Adam" in nodes
    # With a batch norm fused into it, the convolution may be a second node, Conv2D_1.
    of_evaluation = {f"evaluation/model/conv1/Conv2D{number}" for number in ("", "_1")}
    assert of_evaluation & reach("evaluation/probabilities")


def test_variables_of_the_graph_keep_their_names(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save") as train:
        names = {op.name for op in train.graph.get_operations()}
    assert {"conv1/kernel", "logits/bias", "model/conv1/Conv2D", "input/images_ph"} <= names


def test_names_of_nodes_that_ran(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear) as train:
        drawn = DrawnGraph(train.graph)
    assert drawn.drawn_name("training/steps/body/_123/model/logits/MatMul") == "model/logits/MatMul"
    assert drawn.drawn_name("model/logits/MatMul") == "evaluation/model/logits/MatMul"
    assert drawn.drawn_name("_SOURCE") is None


@pytest.mark.skipif(not onednn_is_on(), reason="only oneDNN's pools are called")
def test_names_of_nodes_that_a_call_ran(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save") as train:
        drawn = DrawnGraph(train.graph)
    assert drawn.drawn_name("model/conv1/Conv2D") == "model/conv1/Conv2D"
    in_body = "training/steps/body/_123/next_batch/add"
    assert drawn.drawn_name(in_body) == "input/next_batch/add"


def test_an_empty_graph() -> None:
    assert not DrawnGraph(tf.Graph()).definition.node
