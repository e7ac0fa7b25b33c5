"""Evaluate a run on any data, and compare with scikit-learn on the same predictions."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn import metrics

from cnnlab.base.errors import CnnlabError, DataError, UsageError
from cnnlab.data.arrays import dataset_from_arrays
from cnnlab.data.datasets import Split, load_dataset
from cnnlab.data.training_data import TrainingData
from cnnlab.evaluate import __main__ as module
from cnnlab.evaluate import evaluate
from cnnlab.evaluate.tables import report
from cnnlab.predict import predict
from cnnlab.run.disk.config_file import load_config
from cnnlab.run.trained_model import TrainedModel
from tests import commands, small_run

CLASSES = 10


@pytest.fixture(scope="module")
def save_dir(trained: Any) -> Path:
    assert trained.code == 0, trained.stderr
    return Path(trained.folder / "save")


@pytest.fixture(scope="module")
def test_split() -> Split:
    return load_dataset("shapes", "none").test


@pytest.fixture(scope="module")
def probabilities(save_dir: Path, test_split: Split) -> npt.NDArray[np.float32]:
    """The run's class probabilities of the test images."""
    config = load_config(save_dir)
    with TrainedModel(save_dir, config, TrainingData(config, None).spec) as trained:
        return trained.predict(test_split.images)


def close(value: float) -> Any:
    return pytest.approx(value, abs=1e-9)


@pytest.mark.slow
def test_every_figure_against_scikit_learn(
    save_dir: Path,
    test_split: Split,
    probabilities: npt.NDArray[np.float32],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Check the JSON of the real command."""
    with pytest.raises(SystemExit) as end:
        module.main([f"--save_dir={save_dir}", "--json", "--top_k=3"])
    assert end.value.code == 0
    figures = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # no NaN
    truth, predicted, every = test_split.labels, probabilities.argmax(axis=1), range(CLASSES)
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    assert figures["accuracy"] == close(metrics.accuracy_score(truth, predicted))
    assert figures["loss"] == pytest.approx(metrics.log_loss(truth, exact), rel=1e-5)  # float32
    assert (figures["top_k"], figures["n"]) == (3, 1000)
    for name, k in (("top_k_accuracy", 3), ("top5_accuracy", 5)):
        assert figures[name] == close(metrics.top_k_accuracy_score(truth, exact, k=k))
    assert figures["confusion_matrix"] == metrics.confusion_matrix(truth, predicted).tolist()
    names = ("precision", "recall", "f1")
    theirs = metrics.precision_recall_fscore_support(truth, predicted, zero_division=0)
    assert [row["support"] for row in figures["per_class"]] == theirs[3].tolist()
    for name, values in zip(names, theirs, strict=False):
        assert [row[name] for row in figures["per_class"]] == [close(value) for value in values]
    for average in ("macro", "weighted"):
        means = figures[f"{average}_average"]
        theirs = metrics.precision_recall_fscore_support(
            truth, predicted, average=average, zero_division=0
        )
        assert [means[name] for name in names] == [close(value) for value in theirs[:3]]
        roc_auc = metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average=average)
        assert means["roc_auc"] == close(roc_auc)
        one_hot = np.eye(CLASSES)[truth]
        pr_auc = metrics.average_precision_score(one_hot, probabilities, average=average)
        assert means["pr_auc"] == close(pr_auc)
    assert figures["roc_auc"] == figures["macro_average"]["roc_auc"]
    assert figures["pr_auc"] == figures["macro_average"]["pr_auc"]
    for label in every:
        row = figures["per_class"][label]
        assert row["roc_auc"] == close(
            metrics.roc_auc_score(truth == label, probabilities[:, label])
        )
        assert row["tpr"] + row["fnr"] == close(1)
        assert row["tnr"] + row["fpr"] == close(1)
    interval = figures["accuracy_interval"]
    assert interval["low"] < figures["accuracy"] < interval["high"]
    assert interval["high"] - interval["low"] < 0.07
    assert 0 < figures["expected_calibration_error"] < 0.5
    worst = figures["most_confused"][0]
    confusion = np.array(figures["confusion_matrix"]) * (1 - np.eye(CLASSES, dtype=int))
    assert worst["count"] == confusion.max()
    assert (figures["dataset"], figures["split"], figures["step"]) == ("shapes", "test", 40)


def test_files_and_table(
    save_dir: Path,
    test_split: Split,
    probabilities: npt.NDArray[np.float32],
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = evaluate(save_dir, csv="o/classes.csv", predictions="o/images.csv")
    with open("o/classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == CLASSES + 2
    for row, expected in zip(rows, figures["per_class"], strict=False):
        assert row.pop("class") == expected["name"]
        assert {name: float(value) for name, value in row.items()} == {
            name: value for name, value in expected.items() if name != "name"
        }
    assert [row["class"] for row in rows[CLASSES:]] == ["macro mean", "weighted mean"]
    assert float(rows[-1]["f1"]) == figures["weighted_average"]["f1"]
    with open("o/images.csv", newline="") as file:
        images = list(csv.DictReader(file))
    names = [row["name"] for row in figures["per_class"]]
    truth = test_split.labels
    assert [int(row["index"]) for row in images] == list(range(1000))
    assert [row["truth"] for row in images] == [names[label] for label in truth]
    assert [row["predicted"] for row in images] == [names[i] for i in probabilities.argmax(1)]
    found = np.float32([row["probability"] for row in images])
    np.testing.assert_allclose(found, probabilities.max(1), rtol=1e-5)
    found = np.float32([row["truth_probability"] for row in images])
    np.testing.assert_allclose(found, probabilities[np.arange(1000), truth], rtol=1e-5)

    lines = report(figures).splitlines()
    assert lines[0] == (
        f"step 40, 1000 test images of shapes: accuracy {figures['accuracy']:.4f}, top-5 "
        f"{figures['top5_accuracy']:.4f}, loss {figures['loss']:.4f}"
    )
    header = next(line for line in lines if line.startswith("class"))
    first = next(line for line in lines if line.startswith("circle"))
    assert len(header) == len(first)
    shown = dict(zip(header.split(), first.split(), strict=True))
    assert shown["images"] == "100"
    assert shown["roc-auc"] == f"{figures['per_class'][0]['roc_auc']:.4f}"
    assert any(line.startswith("weighted mean  ") for line in lines)
    worst = figures["most_confused"][0]
    expected = [worst["truth"], worst["predicted"], str(worst["count"])]
    assert any(line.split()[:3] == expected for line in lines)


def test_a_folder_of_class_folders(
    save_dir: Path, test_split: Split, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders give the same figures as arrays of the same images. Most classes are absent."""
    few = np.flatnonzero(test_split.labels < 2)[:30]
    for index in few:
        folder = Path("photos", ("circle", "ring")[test_split.labels[index]], "more")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(test_split.images[index]).save(folder / f"{index:04}.png")
    Path("photos/.git").mkdir()
    by_class = few[np.argsort(test_split.labels[few], kind="stable")]
    expected = evaluate(
        save_dir, data=(test_split.images[by_class], test_split.labels[by_class, None])
    )
    found = evaluate(save_dir, images="photos", predictions="p.csv", batch_size=7)
    assert (found["dataset"], found["split"]) == ("photos", "given")
    assert (expected["dataset"], expected["split"]) == ("arrays", "given")
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    for name in ("n", "accuracy", "confusion_matrix", "per_class"):
        assert found[name] == expected[name]
    square = found["per_class"][2]
    assert (square["support"], square["roc_auc"], square["pr_auc"]) == (0, None, None)
    assert found["roc_auc"] == close(np.mean([row["roc_auc"] for row in found["per_class"][:2]]))
    with open("p.csv", newline="") as file:
        files = [row["file"] for row in csv.DictReader(file)]
    assert files[0] == f"photos/circle/more/{by_class[0]:04}.png"
    lines = report(found).splitlines()
    assert next(line for line in lines if line.startswith("square")).split()[-2:] == ["-", "-"]

    Path("photos/rinng").mkdir()
    message = "subfolder rinng is not named like a class; did you mean ring"
    with pytest.raises(UsageError, match=message):
        evaluate(save_dir, images="photos")
    Path("photos/rinng").rmdir()
    Path("photos/ring/bad.png").write_text("no image")
    with pytest.raises(DataError, match=r"photos/ring/bad\.png is not an image"):
        evaluate(save_dir, images="photos")


def test_images_of_one_class(save_dir: Path, test_split: Split) -> None:
    """Without images of other classes, no curve has a false positive rate."""
    chosen = test_split.labels == 3
    figures = evaluate(save_dir, data=(test_split.images[chosen], test_split.labels[chosen]))
    assert figures["per_class"][3]["roc_auc"] is None
    assert figures["per_class"][3]["pr_auc"] == 1
    assert figures["roc_auc"] is None
    assert figures["macro_average"]["roc_auc"] is None
    json.dumps(figures, allow_nan=False)
    assert "nan" not in report(figures)


def test_another_data_set(save_dir: Path) -> None:
    assert evaluate(save_dir, dataset="shapes")["n"] == 1000
    with pytest.raises(UsageError, match="--dataset=mnist does not fit the run: image shape of"):
        evaluate(save_dir, dataset="mnist", csv="new/table.csv")
    assert not Path("new").exists()
    with pytest.raises(UsageError, match="--dataset=cifar10 does not fit the run: class names of"):
        evaluate(save_dir, dataset="cifar10")
    with pytest.raises(UsageError, match="unknown dataset shape; did you mean shapes"):
        evaluate(save_dir, dataset="shape")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            (np.zeros((2, 8, 8, 3), np.uint8), [0, 1]),
            r"given images have shape \(2, 8, 8, 3\), expected",
        ),
        ((np.zeros((2, 32, 32, 3)), [0, 1]), "given images are float64, expected uint8"),
        ((np.zeros((2, 32, 32, 3), np.uint8), [0, 10]), "given labels: label 10 at index 1"),
        ((np.zeros((0, 32, 32, 3), np.uint8), np.zeros(0, int)), "given has 0 images"),
    ],
)
def test_arrays_that_do_not_fit(data: Any, message: str, save_dir: Path) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(save_dir, data=data)


def test_options_that_do_not_fit(save_dir: Path) -> None:
    with pytest.raises(UsageError, match="--images and data exclude each other"):
        evaluate(save_dir, images="x", data=(np.zeros((1, 32, 32, 3), np.uint8), [0]))
    with pytest.raises(UsageError, match="--images=gone: no such folder"):
        evaluate(save_dir, images="gone")
    Path("empty").mkdir()
    with pytest.raises(UsageError, match="--images=empty: no image in a subfolder"):
        evaluate(save_dir, images="empty")
    with pytest.raises(UsageError, match="unknown option topk in the options; did you mean top_k"):
        evaluate(save_dir, topk=3)
    Path("file").touch()
    with pytest.raises(CnnlabError, match=r"cannot write file/x\.csv"):
        evaluate(save_dir, csv="file/x.csv")


@pytest.mark.slow
def test_a_run_that_was_trained_on_arrays(tmp_path: Path) -> None:
    """The run directory holds the image shape and the classes, but not the images."""
    images = np.random.default_rng(1).integers(0, 256, (60, 14, 14, 3), np.uint8)
    labels = np.arange(60) % 3
    pair = (images, labels)
    data = dataset_from_arrays(pair, pair, class_names=("a", "b", "c"), name="mine")
    run = tmp_path / "run"
    with small_run.make(run, data=data, model="mnist_perceptron", steps=2) as train:
        result = train.train()
    found = evaluate(run, data=pair)
    assert found["loss"] == result["loss"]
    assert [row["name"] for row in found["per_class"]] == ["a", "b", "c"]
    Image.fromarray(images[0]).save(tmp_path / "first.png")
    assert predict([tmp_path / "first.png"], run, top=9)[0]["class"] in ("a", "b", "c")
    with pytest.raises(UsageError, match=r"trained on arrays of a script \(mine\)"):
        evaluate(run)
    text = (run / "config.yaml").read_text()
    for wrong in ("image_shape: [0, 14, 3]", "image_shape: 3", "no_shape: 1"):
        (run / "config.yaml").write_text(re.sub(r"image_shape:(\n  - \d+)+", wrong, text, count=1))
        with pytest.raises(CnnlabError, match="does not say what data the run has"):
            evaluate(run, data=pair)


@pytest.mark.slow
def test_the_command_in_a_separate_process(save_dir: Path, tmp_path: Path) -> None:
    words = (f"--save_dir={save_dir}", "--csv=t.csv", "--tta=mirror")
    done = commands.finish(commands.start("cnnlab.evaluate", *words, cwd=tmp_path), tmp_path)
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("step 40, 1000 test images of shapes: accuracy 0.")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
