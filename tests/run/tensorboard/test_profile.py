"""The profile of traced steps."""

import json
from pathlib import Path
from typing import Any

import pytest

from cnnlab.base.tf1 import tf
from cnnlab.run.disk.config_file import load_config
from cnnlab.run.tensorboard.profile import Profile, table
from tests import small_run

BODY = "training/steps/body/_14"


def metadata_of(devices: dict[str, list[tuple[str, str, int, int]]]) -> Any:
    """Return RunMetadata of operations (name, label, start and duration in microseconds)."""
    metadata = tf.RunMetadata()
    for device, nodes in devices.items():
        stats = metadata.step_stats.dev_stats.add(device=device)
        for name, label, start, duration in nodes:
            node = stats.node_stats.add(node_name=name, timeline_label=label)
            node.all_start_micros, node.all_end_rel_micros = start, duration
    return metadata


def node(name: str, kind: str, start: int, duration: int) -> tuple[str, str, int, int]:
    return name, f"{name} = {kind}(a/b:0, c)", start, duration


STEP = [
    node("training/batch/prepare/Cast", "Cast", 1000, 500),
    node(f"{BODY}/model/block/conv1/Conv2D", "Conv2D", 1500, 2000),
    node(f"{BODY}/model/block/conv/Conv2D", "Conv2D", 3500, 1000),
    node(f"{BODY}/model/Pad", "Pad", 4500, 100),
    node(f"{BODY}/loss/Mean", "Mean", 4600, 400),
    node(f"{BODY}/gradients/g/model/block/conv1/Conv2D_grad/x", "Conv2DBackprop", 5000, 3000),
    node(f"{BODY}/optimizer/cond/then/_9/Adam/update_block/conv1/kernel/Apply", "Adam", 7000, 2000),
    node("training/steps/enter/_3", "Enter", 9000, 1000),
    # A call; its time includes its operations, so it does not count.
    node(f"{BODY}/apart/StatefulPartitionedCall", "StatefulPartitionedCall", 1500, 7500),
]
CPU, GPU = "/job:localhost/device:CPU:0", "/job:localhost/device:GPU:0"


def test_times_are_added_up_by_part_kind_and_layer() -> None:
    profile = Profile(["block/conv", "block/conv1"])
    assert profile.figures() is None
    profile.add(7, metadata_of({CPU: STEP}))
    profile.add(8, metadata_of({CPU: [*STEP, node("training/steps/exit/_4", "Exit", 10000, 2000)]}))
    figures = profile.figures()
    assert figures is not None
    assert (figures["first_step"], figures["last_step"]) == (7, 8)
    assert figures["step_ms"] == pytest.approx((9 + 11) / 2)
    assert figures["operations_ms"] == pytest.approx(11)  # 10 and 12
    parts = {row["name"]: (row["ms"], row["share"], row["count"]) for row in figures["parts"]}
    assert parts == {
        "forward": (3.5, 0.3182, 4),
        "backward": (3, 0.2727, 1),
        "optimizer": (2, 0.1818, 1),
        "input": (0.5, 0.0455, 1),
        "rest": (2, 0.1818, 1.5),
    }
    kinds = [(row["name"], row["ms"]) for row in figures["kinds"]]
    assert kinds[:2] == [("Conv2D", 3), ("Conv2DBackprop", 3)]
    assert figures["layers"] == [
        {
            "name": "block/conv1",
            "ms": 7,
            "share": 0.6364,
            "count": 3,
            "forward_ms": 2,
            "backward_ms": 3,
            "optimizer_ms": 2,
        },
        {
            "name": "block/conv",
            "ms": 1,
            "share": 0.0909,
            "count": 1,
            "forward_ms": 1,
            "backward_ms": 0,
            "optimizer_ms": 0,
        },
    ]
    lines = table(figures).splitlines()
    assert lines[0] == "profile of steps 7 to 8: 10.000 ms a step, 11.000 ms in operations"
    assert lines[2].split() == ["forward", "3.500", "31.8%", "4.0"]


def test_a_gpu_s_streams_count_and_its_launches_do_not() -> None:
    """A stream's node is called NAME:KIND, as TensorFlow's own reader of traces expects."""
    name = f"{BODY}/model/conv/Conv2D"
    profile = Profile(["conv"])
    devices = {
        GPU: [node(name, "Conv2D", 0, 10)],
        f"{GPU}/stream:all": [(f"{name}:Conv2D", "kernel details", 5, 700)],
        f"{GPU}/stream:14": [(f"{name}:Conv2D", "kernel details", 5, 700)],
        CPU: [node("training/steps/enter/_3", "Enter", 0, 300)],
    }
    profile.add(1, metadata_of(devices))
    figures = profile.figures()
    assert figures is not None
    assert [(row["name"], row["ms"]) for row in figures["kinds"]] == [
        ("Conv2D", 0.7),
        ("Enter", 0.3),
    ]


@pytest.mark.parametrize(
    ("steps", "options", "expected"),
    [
        (13, {"trace_steps": [3, 5], "precision": "bfloat16"}, (3, 5)),
        # The steps of 11 to 20 that the run makes.
        pytest.param(13, {}, (11, 13), marks=pytest.mark.slow),
        pytest.param(25, {}, (11, 20), marks=pytest.mark.slow),
        (9, {}, None),
    ],
)
@pytest.mark.slow
def test_a_run_writes_and_prints_its_profile(
    steps: int, options: Any, expected: Any, tmp_path: Path, capsys: Any
) -> None:
    with small_run.make(tmp_path / "save", steps=steps, profile=True, **options) as train:
        train.train()
    printed = capsys.readouterr().err
    path = tmp_path / "save/profile.json"
    if expected is None:
        assert "no profile: steps 11 to 20 were not made" in printed
        assert not path.exists()
        return
    figures = json.loads(path.read_text())
    assert (figures["first_step"], figures["last_step"]) == expected
    assert printed.count("profile of steps {} to {}: ".format(*expected)) == 1
    assert 0 < figures["step_ms"] < 10_000
    assert [row["name"] for row in figures["parts"]] == [
        *("forward", "backward", "optimizer", "input", "rest"),
    ]
    assert sum(row["share"] for row in figures["parts"]) == pytest.approx(1, abs=0.001)
    # A cast belongs to its layer.
    assert not any("Cast" in row["name"] for row in figures["layers"])
    layers = {row["name"]: row for row in figures["layers"]}
    assert layers.keys() >= {"conv1", "norm1", "pool1", "dropout1", "logits"}
    assert all(layers["conv1"][f"{part}_ms"] > 0 for part in ("forward", "backward", "optimizer"))
    assert any("Conv2D" in row["name"] for row in figures["kinds"])


def test_a_resumed_run_is_not_profiled_again(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, steps=2, profile=True) as train:
        train.train()
    assert load_config(tmp_path / "save").profile is False
