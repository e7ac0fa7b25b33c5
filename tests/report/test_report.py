"""The report of real runs: the page, the pictures, and the numbers in it."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from cnnlab.data.specs import DATASETS
from cnnlab.data.training_data import TrainingData
from cnnlab.evaluate import evaluate
from cnnlab.report import report
from cnnlab.run.disk.config_file import load_config
from cnnlab.run.trained_model import TrainedModel
from tests.report.parsed_page import Page

pytestmark = pytest.mark.slow  # each page takes seconds to draw

HOSTILE = (
    "<script>alert(1)</script>",
    "\"' onerror='alert(1)",
    "$\\frac{",
    "&amp;",
    "日本語",
    *("frame", "triangle", "diamond", "cross", "a" * 300),
)
SINGLE = {"accuracy", "activations", "confusion", "filters", "images_per_sec", "learning_rate"}
SINGLE |= {"least_sure", "loss", "mistakes", "saliency"}


@pytest.fixture(scope="module")
def made(trained: Any) -> tuple[dict[str, Any], Page]:
    """Make the report of the shared run. Return the function's answer, and the page.

    Its class names contain markup, formulas and letters that fonts lack.
    """
    spec = dataclasses.replace(DATASETS["shapes"], class_names=HOSTILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "shapes", spec)
        answer = report(trained.folder / "save", images=[3, 5], examples=4)
    return answer, Page(Path(answer["report"]))


def test_the_page_is_complete_and_self_contained(trained: Any, made: Any) -> None:
    answer, page = made
    folder = trained.folder / "save/report"
    assert answer["report"] == str(folder / "report.html")
    assert page.fetched == []
    assert "script" not in page.tags
    assert "link" not in page.tags
    for png, alt in page.images:
        with Image.open(io.BytesIO(png)) as image:
            image.load()
        assert alt
    # 4 curves, the matrix, 4 mistakes, 4 least sure images, weights of 10 classes, 2 gradients,
    # outputs of 2 layers, and the 2 chosen images twice.
    assert len(page.images) == 4 + 1 + 4 + 4 + 10 + 2 + 2 + 4
    assert {path.name for path in folder.iterdir()} == {"report.html", *answer["pictures"]}
    assert set(answer["pictures"]) == {f"{name}.png" for name in SINGLE}
    for name in SINGLE:
        with Image.open(folder / f"{name}.png") as image:
            image.load()


def test_numbers_are_the_evaluations(trained: Any, made: Any) -> None:
    answer, page = made
    save_dir = str(trained.folder / "save")
    expected = evaluate(save_dir)
    run = answer["runs"][0]
    assert {name: run[name] for name in ("accuracy", "loss", "top5_accuracy", "n", "step")} == {
        name: expected[name] for name in ("accuracy", "loss", "top5_accuracy", "n", "step")
    }
    for figure in ("accuracy", "loss", "top5_accuracy"):
        assert f"{expected[figure]:.4f}" in page.text
    rows = page.table("Each class against all others")[1:]
    assert [row[0] for row in rows] == list(HOSTILE)
    for row, figures in zip(rows, expected["per_class"], strict=True):
        names = ("precision", "recall", "f1", "fpr", "fnr")
        assert row[2:] == [f"{figures[name]:.4f}" for name in names]
    images = np.array(expected["confusion_matrix"]).sum(axis=1)
    assert [row[1] for row in rows] == [f"{n:,}" for n in images]


def test_galleries_and_confusions(trained: Any, made: Any) -> None:
    """Compare with scikit-learn, and with a search through all probabilities."""
    answer, page = made
    save_dir = str(trained.folder / "save")
    config = load_config(save_dir)
    data = TrainingData(config, None)
    split = data.split("test")
    with TrainedModel(save_dir, config, data.spec) as model:
        probabilities = model.predict(split.images)
    predicted = probabilities.argmax(axis=1)
    surest = probabilities.max(axis=1)
    of_truth = [row[label] for row, label in zip(probabilities, split.labels, strict=True)]
    wrong = sorted((of_truth[i], i) for i in range(len(surest)) if predicted[i] != split.labels[i])
    assert answer["runs"][0]["mistakes"] == [i for _, i in wrong[:4]]
    assert answer["runs"][0]["least_sure"] == list(np.argsort(surest, kind="stable")[:4])
    names = HOSTILE
    first = wrong[0][1]
    truth = split.labels[first]
    alt = f"image {first}, is {names[truth]} ({probabilities[first, truth]:.3f}), "
    alt += f"taken for {names[predicted[first]]} ({surest[first]:.3f})"
    found = [(png, text) for png, text in page.images if text.startswith(alt)]
    with Image.open(io.BytesIO(found[0][0])) as image:
        np.testing.assert_array_equal(np.asarray(image), split.images[first])
    confusion = metrics.confusion_matrix(split.labels, predicted)
    np.fill_diagonal(confusion, 0)
    actual, prediction, count, share = page.table("The most frequent mistakes")[1]
    assert int(count) == confusion.max()
    assert confusion[names.index(actual), names.index(prediction)] == confusion.max()
    assert share == f"{confusion.max() / (split.labels == names.index(actual)).sum():.4f}"


def test_model_and_configuration(made: Any) -> None:
    _, page = made
    assert page.table("For one image")[1:] == [
        ["flatten", "Reshape", "3072", "0", "0"],
        ["logits", "MatMul, BiasAdd", "10", "30,730", "61,440"],
        ["total", "", "", "30,730", "61,440"],
    ]
    changed = {row[0]: row[1:] for row in page.table("Options that are not at their default")}
    assert changed["batch_size"] == ["50", "500"]
    assert "seed" not in changed
    assert ["seed", "1", "1"] in page.table("All options")
    assert "tensorflow" in [row[0] for row in page.table("Trained with")]
    assert "Grad-CAM is left out: the network has no convolution." in page.text
    assert "finished: 40 of 40 steps made" in page.text
    assert [text for _, text in page.images if text.startswith(("image 3,", "image 5,"))]


def test_a_report_replaces_an_earlier_one(trained: Any, made: Any, tmp_path: Path) -> None:
    """A new report replaces the earlier one, and no other file."""
    save_dir = trained.folder / "save"
    out = tmp_path / "out"
    out.mkdir()  # may be there if it is empty
    both = report([save_dir, save_dir], out=out, examples=1, images=[])
    names = set(both["pictures"])
    assert {"loss.png", "run1_loss.png", "run2_confusion.png"} <= names
    page = Page(out / "report.html")
    assert "The runs have the same options." in page.text
    rows = page.table("Figures on the test split")
    assert rows[1][0] == f"1. {save_dir}"
    assert rows[1][1:] == rows[2][1:]
    assert rows[1][1] == f"{both['runs'][0]['accuracy']:.4f}"
    (out / "own.png").write_bytes(b"mine")
    report(save_dir, out=out, examples=1, images=[])
    left = {path.name for path in out.iterdir()}
    assert "own.png" in left
    assert not [name for name in left if name.startswith("run")]
    assert "No image was chosen." in Page(out / "report.html").text
