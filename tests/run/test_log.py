"""metrics.jsonl and TensorBoard's event files."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from cnnlab import Hook, Train
from cnnlab.base.tf1 import tf
from cnnlab.run.disk.metrics_file import read_metrics
from cnnlab.run.log import RunLog
from tests import small_run


def events(folder: Path) -> EventAccumulator:
    """Return all events of a folder, as TensorBoard reads them."""
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    accumulator.Reload()
    return accumulator


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events(folder).Scalars(tag)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run in `save` and `save-logs`."""
    folder = tmp_path_factory.mktemp("summaries")
    options = {"summary_steps": 4, "eval_steps": 6, "steps": 12, "layer_summaries": True}
    with small_run.make(folder / "save", **options) as train:
        train.train()
    return folder


def lines(save_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (save_dir / "metrics.jsonl").read_text().splitlines()]


def test_lines_of_metrics(run: Path) -> None:
    found = lines(run / "save")
    assert [(line["step"], line["split"]) for line in found] == [
        *[(4, "train"), (6, "val"), (8, "train"), (12, "train"), (12, "val")]
    ]
    names = {"step", "split", "loss", "accuracy", "learning_rate", "images_per_sec"}
    for line in found:
        assert set(line) == names | ({"seconds"} if line["split"] == "train" else set())
        assert line["images_per_sec"] > 0
    # Steps 0 to 11 with decay_steps 5; each line has the rate of the step just made.
    rates = [line["learning_rate"] for line in found]
    assert rates == pytest.approx([0.01, 0.009, 0.009, 0.0081, 0.0081])
    secs = [line["seconds"] for line in found if "seconds" in line]
    assert secs == sorted(secs)


@pytest.mark.parametrize("split", ["train", "val"])
def test_tensorboard_reads_the_same_figures(split: str, run: Path) -> None:
    for tag in ("loss", "accuracy", "learning_rate"):
        expected = [(n["step"], n[tag]) for n in lines(run / "save") if n["split"] == split]
        found = scalars(run / "save-logs" / split, tag)
        assert [step for step, _ in found] == [step for step, _ in expected]
        np.testing.assert_allclose([v for _, v in found], [v for _, v in expected], rtol=1e-6)
    counted = scalars(run / "save-logs" / split, "global_step")
    assert counted == [(step, step) for step, _ in found]
    assert "seconds" not in events(run / "save-logs" / split).Tags()["scalars"]


def test_the_graph_is_there_with_readable_scopes(run: Path) -> None:
    log = events(run / "save-logs/train")
    assert log.Tags()["graph"]
    graph = tf.GraphDef.FromString(log.Graph().SerializeToString())
    scopes = {node.name.split("/")[0] for node in graph.node}
    boxes = {"input", "model", "loss", "optimizer", "metrics", "training", "evaluation"}
    assert scopes == boxes


def test_layer_statistics_and_histograms(run: Path) -> None:
    layers = ("conv1", "norm1", "pool1", "flatten", "logits")
    for split in ("train", "val"):
        log = events(run / "save-logs" / split)
        tags = log.Tags()
        assert {f"{n}/{s}" for n in layers for s in ("mean", "sd", "max", "min")} <= set(
            tags["scalars"]
        )
        histograms = {f"{name}/histogram" for name in layers} | {"weights/conv1/kernel"}
        assert histograms <= set(tags["histograms"]) | set(tags["tensors"])


def test_layer_statistics_are_right(tmp_path: Path) -> None:
    """NumPy computes the same five statistics of the logits."""
    options = {"layer_summaries": True, "summary_steps": 3, "steps": 3}
    with small_run.make(tmp_path / "save", small_run.linear, **options) as train:
        train.train()
        images = train.train_graph.step_rows.run(train.session, 3)["images"]
        logits = train.session.run(train.logits, {train.images_ph: images}).astype(np.float64)
    folder = tmp_path / "save-logs/train"
    for name, expected in {
        "mean": logits.mean(),
        "sd": logits.std(),
        "max": logits.max(),
        "min": logits.min(),
    }.items():
        assert scalars(folder, f"logits/{name}") == [(3, pytest.approx(expected, rel=1e-5))]
    histogram = events(folder)
    if "logits/histogram" in histogram.Tags()["histograms"]:
        assert histogram.Histograms("logits/histogram")[0].histogram_value.num == logits.size
    else:
        tensor = histogram.Tensors("logits/histogram")[0].tensor_proto
        assert tensor_util.make_ndarray(tensor)[:, 2].sum() == logits.size


@pytest.mark.slow
def test_steps_that_are_made_again_are_logged_once(tmp_path: Path) -> None:
    """Lines and events after the checkpoint are removed when the run resumes."""

    class InjectedError(RuntimeError):
        pass

    class StopsAt9(Hook):
        every_steps = 9

        def after_step(self, train: Train, state: Any) -> None:
            if state.step == 9:
                raise InjectedError

    options = {"summary_steps": 1, "checkpoint_steps": 4, "steps": 12}
    save_dir = tmp_path / "save"
    with (
        small_run.make(save_dir, small_run.linear, hooks=[StopsAt9()], **options) as train,
        pytest.raises(InjectedError),
    ):
        train.train()
    assert lines(save_dir)[-1]["step"] == 9
    first = {line["step"]: line["loss"] for line in lines(save_dir)}
    with small_run.make(save_dir, small_run.linear, **options) as train:
        train.train()
    steps = [line["step"] for line in lines(save_dir) if line["split"] == "train"]
    assert steps == list(range(1, 13))
    second = {line["step"]: line["loss"] for line in lines(save_dir) if line["split"] == "train"}
    assert all(second[step] == loss for step, loss in first.items())
    drawn = [step for step, _ in scalars(tmp_path / "save-logs/train", "loss")]
    assert drawn == list(range(1, 13))


FIGURES = {"loss": 0.5, "accuracy": 0.5, "learning_rate": 0.1, "images_per_sec": 9.0}


def log_of(save_dir: Path, first_step: int) -> RunLog:
    return RunLog(save_dir, save_dir / "logs", tf.Graph(), first_step)


def test_read_metrics_up_to_a_step_without_an_incomplete_line(tmp_path: Path) -> None:
    assert list(read_metrics(tmp_path)) == []
    log = log_of(tmp_path, 0)
    for step in (1, 2, 3):
        log.write("train", step, **{**FIGURES, "loss": step / 10})
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "split": "train"}')  # complete, except for the newline
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3]
    assert [line["step"] for line in read_metrics(tmp_path, 2)] == [1, 2]
    log = log_of(tmp_path, 2)
    log.write("val", 3, **FIGURES)
    log.close()
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [
        *[(1, 0.1), (2, 0.2), (3, 0.5)]
    ]


def test_an_evaluation_without_its_line_is_drawn_once(tmp_path: Path) -> None:
    """A process was killed after it drew the evaluation of its first step, before its line."""
    for number in (0, 1):
        log = log_of(tmp_path, 2)
        value = tf.Summary.Value(tag="pr", simple_value=number)
        log.write_summary("val", 2, tf.Summary(value=[value]).SerializeToString())
        log.close()
    assert scalars(tmp_path / "logs/val", "pr") == [(2, 1)]
    log = log_of(tmp_path, 2)
    log.write("val", 2, **FIGURES)
    log.close()
    log_of(tmp_path, 2).close()
    assert scalars(tmp_path / "logs/val", "loss") == [(2, 0.5)]


@pytest.mark.slow
def test_a_large_file_is_read_line_by_line(tmp_path: Path) -> None:
    """Reading 10,000 lines takes no more memory than reading one, and so does copying them."""
    text = json.dumps({"step": 1, "split": "train", **FIGURES}) + "\n"
    (tmp_path / "metrics.jsonl").write_text(text * 10_000)
    tracemalloc.start()
    log_of(tmp_path, 1).close()
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 2_000_000
    assert sum(1 for _ in read_metrics(tmp_path)) == 10_000


def test_a_log_opened_again_within_a_second_keeps_the_first_file(tmp_path: Path) -> None:
    for first_step in (0, 1):
        log = log_of(tmp_path, first_step)
        log.write("train", first_step + 1, **FIGURES)
        log.close()
    assert scalars(tmp_path / "logs/train", "loss") == [(1, 0.5), (2, 0.5)]


def test_lines_are_written_immediately(tmp_path: Path) -> None:
    log = log_of(tmp_path, 0)
    log.write("train", 1, loss=0.5)
    assert lines(tmp_path)[0]["loss"] == 0.5
    log.write_summary("val", 2, tf.Summary(value=[]).SerializeToString())
    log.flush()
    log.close()


def test_layers_are_shown_with_dropout_on_training_images(run: Path) -> None:
    """dropout1 drops 0.3 in training; in inference it is no layer. val is at the evaluations."""
    before, after = (scalars(run / "save-logs/train", f"{n}/max") for n in ("flatten", "dropout1"))
    assert [step for step, _ in before] == [4, 8, 12]
    ratios = [b / a for (_, a), (_, b) in zip(before, after, strict=True)]
    assert max(ratios) == pytest.approx(1 / 0.7, rel=1e-5)
    assert [step for step, _ in scalars(run / "save-logs/val", "flatten/max")] == [6, 12]
    assert "dropout1/max" not in events(run / "save-logs/val").Tags()["scalars"]


@pytest.mark.slow
def test_the_next_batch_in_inference(tmp_path: Path) -> None:
    """The figures are those of the batch that the next step uses; the weights stay the same."""
    found: list[tuple[int, float]] = []
    drawn: dict[int, list[int]] = {}

    class Look(Hook):
        every_steps = 1

        def after_step(self, train: Train, state: Any) -> None:
            images, labels = small_run.arrays()[0]
            rows = train.train_graph.step_rows.run(train.session, state.step)
            drawn[state.step] = rows["indices"].tolist()
            right = train.predict(images[rows["indices"]]).argmax(axis=1) == labels[rows["indices"]]
            found.append((state.step, right.mean()))

    options = {"summary_steps": 1, "steps": 5}
    with small_run.make(
        tmp_path / "on", inference_summaries=True, hooks=[Look()], **options
    ) as train:
        train.train()
        weights = small_run.variables(train)
        losses = train.evaluate(tuple(a[drawn[5]] for a in small_run.arrays()[0]))["loss"]
    logged = [line for line in lines(tmp_path / "on") if line["split"] == "train"]
    assert found == [(n["step"], pytest.approx(n["inference_accuracy"])) for n in logged]
    assert logged[-1]["inference_loss"] == pytest.approx(losses)
    small_run.assert_same_bits(weights, small_run.run(tmp_path / "off", **options))
