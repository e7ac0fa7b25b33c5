"""A small run with all hooks, read back as TensorBoard reads it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnnlab.base.tf1 import tf
from cnnlab.data.show import displayable, load_batches, make_sheet
from cnnlab.run.hook import RunPlan
from cnnlab.run.tensorboard.hooks import TraceHook
from tests import small_run

OPTIONS: dict[str, Any] = {
    "tensorboard": "all",
    "trace_steps": [4, 5],
    "steps": 8,
    "eval_steps": 4,
    "summary_steps": 4,
    "checkpoint_steps": 4,
}


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Make a run that is stopped after step 6 and resumed.

    Returns:
        the folder, with the run in save and save-logs; and the final outputs for the validation
        images.
    """
    folder = tmp_path_factory.mktemp("board")
    with small_run.make(folder / "save", **{**OPTIONS, "steps": 6}) as train:
        train.train()
    with small_run.make(folder / "save", **OPTIONS) as train:
        train.train()
        graph, images = train.train_graph.inference, small_run.arrays()[1][0]
        feed = {graph.images_ph: images}
        names = {"logits": graph.logits, "features": graph.features}
        found = train.session.run({**names, "probabilities": graph.probabilities}, feed)
    return folder, found


@pytest.mark.slow
def test_each_picture_and_curve_is_written_once_a_step(run: Any) -> None:
    folder, _ = run
    # A run of 8 steps makes no evaluation at step 6, where the shorter run ended.
    train, val = events(folder / "save-logs/train"), events(folder / "save-logs/val")
    assert [image.step for image in train.Images("images/inputs")] == [0]
    assert [image.step for image in val.Images("images/confusion_matrix")] == [4, 8]
    assert {image.step for image in val.Images("images/mistakes")} <= {4, 8}
    tags = {f"classes/{index}/pr_curves" for index in range(4)}
    assert tags == {tag for tag in val.Tags()["tensors"] if tag.endswith("pr_curves")}
    for tag in tags:
        # TensorBoard forgets the scalars and pictures of step 6, but never a tensor.
        assert [tensor.step for tensor in val.Tensors(tag)] == [4, 6, 8]


def test_the_curves_are_of_the_last_weights(run: Any) -> None:
    folder, found = run
    labels = small_run.arrays()[1][1]
    proto = events(folder / "save-logs/val").Tensors("classes/1/pr_curves")[-1].tensor_proto
    rows = np.frombuffer(proto.tensor_content, np.float32).reshape(6, -1)
    thresholds = np.linspace(0, 1, rows.shape[1]).astype(np.float32)
    counted = found["probabilities"][:, 1] >= thresholds[:, None]
    np.testing.assert_array_equal(rows[0], (counted & (labels == 1)).sum(axis=1))
    np.testing.assert_array_equal(rows[1], (counted & (labels != 1)).sum(axis=1))


def test_the_inputs_are_those_of_the_first_step(run: Any) -> None:
    folder, _ = run
    image = events(folder / "save-logs/train").Images("images/inputs")[0]
    with small_run.make(folder / "other", **OPTIONS) as train:
        originals, inputs = load_batches(train.config, 32, train.data)
    assert inputs.shape == (32, 8, 8, 3)
    sheet = make_sheet(originals, displayable(inputs, train.config))
    assert (image.width, image.height) == sheet.size
    pixels = tf.io.decode_png(image.encoded_image_string).numpy()
    np.testing.assert_array_equal(pixels, np.asarray(sheet))


def test_the_projector_has_the_input_of_the_last_layer(run: Any) -> None:
    folder, found = run
    features = np.loadtxt(folder / "save-logs/val/projector/features.tsv", delimiter="\t")
    np.testing.assert_allclose(features, found["features"], rtol=1e-4, atol=1e-6)
    # The output of flatten; dropout keeps the shape.
    assert features.shape == (small_run.NUM_TEST, 4 * 4 * 4)
    labels = (folder / "save-logs/val/projector/labels.tsv").read_text().splitlines()[1:]
    guesses = [line.split("\t")[1] for line in labels]
    assert guesses == [str(guess) for guess in found["logits"].argmax(axis=1)]


def test_traced_steps_are_in_the_graph_and_in_files(run: Any) -> None:
    folder, _ = run
    log = events(folder / "save-logs/train")
    assert set(log.Tags()["run_metadata"]) == {"step 4", "step 5"}
    drawn = {node.name for node in log.Graph().node}
    names = {
        stats.node_name
        for device in log.RunMetadata("step 5").step_stats.dev_stats
        for stats in device.node_stats
    }
    assert names <= drawn
    for box in ("model/conv1/", "loss/", "optimizer/gradients/", "optimizer/Adam"):
        assert any(name.startswith(box) for name in names), box
    files = sorted(path.name for path in (folder / "save-logs/traces").iterdir())
    assert files == ["step_4.json", "step_5.json"]
    trace = json.loads((folder / "save-logs/traces/step_4.json").read_text())
    ops = {event["args"].get("op") for event in trace["traceEvents"] if event["ph"] == "X"}
    assert any("Conv2D" in str(op) for op in ops)  # fused or not, from oneDNN or not


@pytest.mark.parametrize(
    ("made", "wanted", "steps", "is_traced"),
    [
        (0, 50, 50, False),
        (0, 200, 99, False),
        (99, 50, 1, True),
        (101, 50, 1, True),
        (102, 5, 5, False),
    ],
)
def test_a_session_run_makes_each_traced_step_alone(
    made: int, wanted: int, steps: int, is_traced: bool, tmp_path: Path
) -> None:
    hook = TraceHook(100, 102, None, tmp_path)  # type: ignore[arg-type]
    plan = RunPlan(made, wanted)
    hook.before_run(plan)
    assert plan.steps == steps
    assert bool(plan.arguments) == is_traced


def test_nothing_is_written_by_default(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, steps=2) as train:
        train.train()
    assert sorted(path.name for path in (tmp_path / "save-logs").iterdir())[1:] == ["train", "val"]
    for split in ("train", "val"):
        tags = events(tmp_path / "save-logs" / split).Tags()
        assert not any(tags[kind] for kind in ("images", "tensors", "run_metadata"))
    (file,) = (tmp_path / "save-logs/val").iterdir()
    assert file.name.startswith("events")
