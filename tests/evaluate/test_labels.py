"""A run of pictures with several labels each, from a table: every command, with thresholds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

import cnnlab
from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import keras3
from cnnlab.evaluate import evaluate
from cnnlab.evaluate.tables import report
from cnnlab.export import export
from cnnlab.predict import predict

NAMES = ("bottom", "top")
# Keras 3.15 converts variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def write_table(folder: Path) -> Path:
    """Write pictures whose halves are bright or dark, and the table of their labels."""
    rng = np.random.default_rng(2)
    lines = ["path,labels,split"]
    for i in range(60):
        pixels = rng.integers(0, 120, (8, 8)).astype(np.uint8)
        labels = [name for name, bit in zip(NAMES, (i % 3 == 0, i % 2 == 0), strict=True) if bit]
        for name in labels:
            rows = slice(4) if name == "top" else slice(4, 8)
            pixels[rows] += 110
        Image.fromarray(pixels).save(folder / f"{i}.png")
        split = "train" if i < 30 else "val" if i < 45 else "test"
        lines.append(f"{i}.png,{';'.join(labels)},{split}")
    (folder / "list.csv").write_text("\n".join(lines))
    return folder / "list.csv"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("labels")
    options = {"dataset": f"list:{write_table(folder)}", "color_mode": "grayscale"}
    options |= {"model": "mnist_perceptron", "model_options": {"init_stddev": 0.01}}
    options |= {"loss": "sigmoid", "batch_size": 10, "steps": 20, "eval_steps": 20}
    with cnnlab.Train(**options, save_dir=str(folder / "run"), learning_rate=0.02) as train:
        train.train()
    return folder


@pytest.mark.slow
def test_figures_and_thresholds(run: Path) -> None:
    found = evaluate(run / "run")
    assert found["thresholds"] == dict.fromkeys(NAMES, 0.5)
    assert [row["name"] for row in found["per_label"]] == list(NAMES)
    strict = evaluate(run / "run", thresholds={"top": 1.0})
    assert (strict["per_label"][1]["recall"], strict["per_label"][0]) == (0, found["per_label"][0])
    chosen = evaluate(run / "run", thresholds="validation", predictions=str(run / "p.csv"))
    on_validation = evaluate(run / "run", split="validation", thresholds=chosen["thresholds"])
    usual = evaluate(run / "run", split="validation")
    for best, half in zip(on_validation["per_label"], usual["per_label"], strict=True):
        assert best["f1"] >= half["f1"]
    table = np.loadtxt(run / "p.csv", delimiter=",", skiprows=1, usecols=(1, 2, 3, 4))
    truth, scores = table[:, ::2], table[:, 1::2]
    predicted = scores >= list(chosen["thresholds"].values())
    micro = chosen["micro_average"]
    assert micro["f1"] == pytest.approx(metrics.f1_score(truth, predicted, average="micro"))
    auc = metrics.roc_auc_score(truth, scores, average="micro")
    assert micro["roc_auc"] == pytest.approx(auc)
    lines = report(chosen).splitlines()
    assert lines[2].split()[:3] == ["label", "threshold", "images"]
    assert lines[-1].startswith("micro mean")


@pytest.mark.slow
def test_predictions_have_each_probability(run: Path) -> None:
    files = [str(run / "0.png"), str(run / "1.png")]
    usual, strict = (predict(files, run / "run", thresholds=t) for t in (None, [0.0, 1.0]))
    assert [set(answer["probabilities"]) for answer in usual] == [set(NAMES)] * 2
    assert [answer["labels"] for answer in strict] == [["bottom"]] * 2
    with pytest.raises(UsageError, match="there is no label tip; did you mean top"):
        predict(files, run / "run", thresholds={"tip": 0.3})
    export(run / "run", "keras", run / "model.keras")
    pixels = np.asarray(Image.open(files[0]))[None, :, :, None]
    found = keras3.models.load_model(run / "model.keras").predict(pixels, verbose=0)
    expected = list(usual[0]["probabilities"].values())
    np.testing.assert_allclose(found, [expected], atol=1e-5)
