"""The real commands, each in a process of its own, on one shared run."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from cnnlab.base.tf1 import tf
from cnnlab.data.datasets import load_dataset
from cnnlab.evaluate import evaluate
from cnnlab.predict import predict
from tests import commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three pictures of the data set shapes."""
    folder = tmp_path_factory.mktemp("answers")
    images = load_dataset("shapes", folder).test.images
    for i in range(3):
        Image.fromarray(images[i]).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def evaluated(trained: Any, folder: Path) -> commands.Finished:
    """What `cnnlab evaluate` answers on the shared run."""
    words = (f"--save_dir={trained.folder / 'save'}", "--json")
    return commands.finish(commands.start("cnnlab.evaluate", *words, cwd=folder), folder)


@pytest.fixture(scope="module")
def predicted(trained: Any, folder: Path) -> commands.Finished:
    """What `cnnlab predict` answers on the shared run."""
    words = ("0.png", "1.png", "2.png", f"--save_dir={trained.folder / 'save'}", "--json")
    return commands.finish(commands.start("cnnlab.predict", *words, cwd=folder), folder)


def test_train_json(trained: Any) -> None:
    assert trained.code == 0, trained.stderr
    result = json.loads(trained.stdout)
    assert (result["step"], result["finished"], result["n"]) == (40, True, 1000)
    assert result["best"]["step"] in (20, 40)
    assert result == json.loads((trained.folder / "save/result.json").read_text())
    assert "Traceback" not in trained.stderr
    assert "deprecated" not in trained.stderr
    assert trained.stderr.startswith("mnist_perceptron on shapes: 30,730 parameters, graph 0.")
    assert "step 40/40: loss " in trained.stderr


def test_train_leaves_the_run_directory(trained: Any) -> None:
    assert sorted(path.name for path in trained.folder.iterdir()) == ["save"]
    names = {path.name for path in (trained.folder / "save").iterdir()}
    assert {"config.yaml", "checkpoint", "metrics.jsonl", "result.json", "best"} <= names
    assert {"model.ckpt-20.index", "model.ckpt-40.index"} <= names
    logs = trained.folder / "save/logs"
    for split in ("train", "val"):
        assert len(list((logs / split).glob("events.out.tfevents.*"))) == 1
    assert sum(path.stat().st_size for path in logs.rglob("*") if path.is_file()) < 5_000_000


@pytest.mark.slow
def test_evaluate_json(trained: Any, evaluated: commands.Finished) -> None:
    done = evaluated
    assert done.code == 0, done.stderr
    figures = json.loads(done.stdout)
    names = {"accuracy", "loss", "top5_accuracy", "n", "step", "split"}
    assert set(figures) > names | {"confusion_matrix", "per_class"}
    result = json.loads(trained.stdout)
    for name in ("accuracy", "loss", "top5_accuracy", "n", "step", "split"):
        assert figures[name] == result[name]
    confusion = np.array(figures["confusion_matrix"])
    labels = load_dataset("shapes", done.folder).test.labels
    assert confusion.sum(axis=1).tolist() == np.bincount(labels).tolist()  # rows: truth
    assert np.trace(confusion) / 1000 == figures["accuracy"]
    assert [row["name"] for row in figures["per_class"]][:2] == ["circle", "ring"]


def test_predict_json(trained: Any, predicted: commands.Finished) -> None:
    """The answers agree with a NumPy perceptron that has the weights of the checkpoint."""
    done = predicted
    assert done.code == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["file"] for row in rows] == ["0.png", "1.png", "2.png"]
    path = tf.train.latest_checkpoint(str(trained.folder / "save"))
    reader = tf.train.load_checkpoint(path)
    data = load_dataset("shapes", done.folder)
    inputs = data.test.images[:3].reshape(3, -1).astype(np.float64) / 255
    logits = inputs @ reader.get_tensor("logits/kernel") + reader.get_tensor("logits/bias")
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for row, expected in zip(rows, softmax, strict=True):
        order = np.argsort(-expected)
        assert [c["class"] for c in row["top"]] == [data.spec.class_names[i] for i in order[:3]]
        np.testing.assert_allclose(
            [c["probability"] for c in row["top"]], expected[order[:3]], rtol=1e-4
        )
        assert {"class": row["class"], "probability": row["probability"]} == row["top"][0]


@pytest.mark.slow
def test_evaluate_function_against_scikit_learn(trained: Any) -> None:
    save_dir = trained.folder / "save"
    figures = evaluate(str(save_dir), split="train", checkpoint="20", batch_size=999)
    assert (figures["n"], figures["step"], figures["split"]) == (5000, 20, "train")
    reader = tf.train.load_checkpoint(str(save_dir / "model.ckpt-20"))
    split = load_dataset("shapes", trained.folder).train
    inputs = split.images.reshape(5000, -1).astype(np.float64) / 255
    logits = inputs @ reader.get_tensor("logits/kernel") + reader.get_tensor("logits/bias")
    predicted = logits.argmax(1)
    assert figures["accuracy"] == metrics.accuracy_score(split.labels, predicted)
    assert figures["top5_accuracy"] == metrics.top_k_accuracy_score(split.labels, logits, k=5)
    assert figures["confusion_matrix"] == (
        metrics.confusion_matrix(split.labels, predicted, labels=range(10)).tolist()
    )
    report = metrics.classification_report(
        split.labels, predicted, labels=range(10), output_dict=True, zero_division=0
    )
    for label, row in enumerate(figures["per_class"]):
        for name, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert row[name] == pytest.approx(report[str(label)][theirs])


def test_the_best_checkpoint(trained: Any) -> None:
    best = json.loads(trained.stdout)["best"]
    figures = evaluate(str(trained.folder / "save"), checkpoint="best")
    assert {name: figures[name] for name in best} == best


def test_predict_any_picture(trained: Any, tmp_path: Path) -> None:
    Image.new("RGBA", (100, 30), (255, 0, 0, 128)).save("a.webp")
    Image.new("L", (1, 1)).save("b.gif")
    rows = predict(["a.webp", "b.gif"], str(trained.folder / "save"), top=99)
    assert [row["file"] for row in rows] == ["a.webp", "b.gif"]
    for row in rows:
        assert len(row["top"]) == 10
        probabilities = [c["probability"] for c in row["top"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1, rel=1e-5)


def test_a_mistyped_flag_is_quick_and_leaves_no_file(tmp_path: Path) -> None:
    before = os.times()
    process = commands.start("cnnlab.train", "--dataset=shapes", "--stepss=5", cwd=tmp_path)
    done = commands.finish(process, tmp_path)
    after = os.times()  # processor time, so other load on the machine does not matter
    secs = after.children_user - before.children_user
    secs += after.children_system - before.children_system
    assert done.code == 2
    message = "unknown option --stepss in the command line; did you mean --steps?"
    assert commands.assert_one_error_line(done.stderr) == message
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
    assert 0 < secs < 2


def wait_for(path: Path, process: Any) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_from_outside(number: int, code: int, tmp_path: Path) -> None:
    words = [word for word in commands.TRAIN if not word.startswith("--steps=")]
    process = commands.start("cnnlab.train", *words, "--steps=1000000", cwd=tmp_path)
    wait_for(tmp_path / "save/checkpoint", process)
    os.kill(process.pid, number)
    done = commands.finish(process, tmp_path)
    assert done.code == code, done.stderr
    assert json.loads(done.stdout)["finished"] is False
    assert "Traceback" not in done.stderr
    result = json.loads((tmp_path / "save/result.json").read_text())
    assert result["finished"] is False
    assert (tmp_path / f"save/model.ckpt-{result['step']}.index").exists()
    steps = result["step"] + 20
    resumed = commands.start("cnnlab.train", f"--steps={steps}", "--json", cwd=tmp_path)
    answer = commands.finish(resumed, tmp_path)
    assert answer.code == 0, answer.stderr
    assert json.loads(answer.stdout)["step"] == steps
    assert f"resuming from step {result['step']} of save" in answer.stderr
