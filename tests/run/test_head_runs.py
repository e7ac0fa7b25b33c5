"""Runs with several heads: training, resuming, and every command."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from cnnlab import Train
from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import keras3, tf2
from cnnlab.evaluate import evaluate, tables
from cnnlab.export import export
from cnnlab.predict import predict
from cnnlab.predict.rendering import FORMATS
from cnnlab.report import report
from tests import head_runs, small_run
from tests.report.parsed_page import Page

pytestmark = [
    # Keras 3.15 converts variables in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*Interpreter is deprecated:UserWarning"),
]
OPTIONS: dict[str, Any] = {"batch_size": 10, "steps": 20, "eval_steps": 10, "summary_steps": 10}
OPTIONS |= {"learning_rate": 0.01, "checkpoint_steps": 10, "device": "cpu"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the folder with the pictures, and a run of a network that has a layer for each."""
    folder = tmp_path_factory.mktemp("heads")
    given = {**OPTIONS, "dataset": f"list:{head_runs.write_table(folder)}"}
    model, save_dir = head_runs.own_network, str(folder / "run")
    with Train(model=model, head_weights={"size": 0.5}, save_dir=save_dir, **given) as train:
        result = train.train()
    return folder, result


def test_figures_of_training(run: Any) -> None:
    folder, result = run
    heads = result["heads"]
    assert list(heads) == ["colour", "size"]
    mean = (heads["colour"]["accuracy"] + heads["size"]["accuracy"]) / 2
    assert result["accuracy"] == pytest.approx(mean)
    assert result["loss"] == pytest.approx(heads["colour"]["loss"] + 0.5 * heads["size"]["loss"])
    text = (folder / "run/metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    of_validation = [line for line in lines if line["split"] == "val"]
    assert [line["step"] for line in of_validation] == [10, 20]
    assert {"accuracy", "exact_match", "colour_accuracy", "size_loss"} <= of_validation[0].keys()
    better = max(of_validation, key=lambda line: line["accuracy"])
    assert result["best"]["accuracy"] == better["accuracy"]


@pytest.mark.slow
def test_evaluation(run: Any) -> None:
    folder, result = run
    paths = {"csv": str(folder / "c.csv"), "predictions": str(folder / "p.csv")}
    found = evaluate(folder / "run", **paths)
    assert found["accuracy"] == result["accuracy"]
    with (folder / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == [f"{i}.png" for i in range(50, 60)]
    right = []
    for head, names in (("colour", sorted(head_runs.COLOURS)), ("size", sorted(head_runs.SIZES))):
        own = found["heads"][head]
        pair = [[row[f"{head} {what}"] for row in rows] for what in ("truth", "predicted")]
        assert [row["name"] for row in own["per_class"]] == names
        assert np.array_equal(
            own["confusion_matrix"], metrics.confusion_matrix(*pair, labels=names)
        )
        assert own["accuracy"] == metrics.accuracy_score(*pair)
        f1 = metrics.f1_score(*pair, average=None, labels=names, zero_division=0)
        np.testing.assert_allclose([row["f1"] for row in own["per_class"]], f1)
        right.append(np.equal(*pair))
    assert found["exact_match"] == np.logical_and(*right).mean()
    text = tables.report(found)
    assert "\ncolour: accuracy " in text
    assert "\nsize: accuracy " in text
    with (folder / "c.csv").open() as file:
        kinds = [(row["head"], row["class"]) for row in csv.DictReader(file)]
    assert kinds[:4] == [("colour", name) for name in ("blue", "green", "red", "macro mean")]
    with pytest.raises(UsageError, match="--loss=mse is for one class an image"):
        evaluate(folder / "run", loss="mse")
    with pytest.raises(UsageError, match="--thresholds is for several labels"):
        evaluate(folder / "run", thresholds=0.4)


@pytest.mark.slow
def test_predictions_and_exports_agree(run: Any) -> None:
    folder, _ = run
    files = [str(folder / f"{i}.png") for i in (50, 51, 52)]
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    found = predict(files, folder / "run", top=2)
    with Train(
        model=head_runs.own_network,
        head_weights={"size": 0.5},
        save_dir=str(folder / "run"),
        **{**OPTIONS, "dataset": f"list:{folder / 'list.csv'}"},
    ) as train:
        shares = train.predict(images)
        heads = train.data.spec.heads
    for row, answer in zip(shares, found, strict=True):
        for head in heads:
            own = dict(zip(head.class_names, row[head.columns].tolist(), strict=True))
            assert sum(own.values()) == pytest.approx(1, abs=1e-5)
            best = sorted(own.items(), key=lambda pair: -pair[1])[:2]
            listed = [
                (one["class"], one["probability"]) for one in answer["heads"][head.name]["top"]
            ]
            assert [name for name, _ in listed] == [name for name, _ in best]
            np.testing.assert_allclose([p for _, p in listed], [p for _, p in best], atol=1e-5)
    text = "".join(FORMATS["csv"](iter(found)))
    assert text.splitlines()[0].startswith("file,colour_class,colour_probability,colour_class_2,")
    assert "; size: " in "".join(FORMATS["text"](iter(found)))
    for kind in ("saved_model", "frozen", "tflite", "onnx", "keras"):
        answer = export(folder / "run", kind, folder / f"out.{kind}")  # type: ignore[arg-type]
        assert answer["heads"] == {head.name: list(head.class_names) for head in heads}
        outputs = exported(kind, folder / f"out.{kind}", images, answer)
        assert set(outputs) == {"colour", "size"}
        for head in heads:
            np.testing.assert_allclose(outputs[head.name], shares[:, head.columns], atol=1e-5)


def exported(kind: str, path: Path, images: Any, answer: Any) -> dict[str, Any]:
    """Return what an exported network computes, by the names of its outputs."""
    if kind == "saved_model":
        return dict(tf2.saved_model.load(str(path)).signatures["serving_default"](images=images))
    if kind == "keras":
        return dict(keras3.models.load_model(path).predict(images, verbose=0))
    if kind == "tflite":
        runner = tf2.lite.Interpreter(str(path)).get_signature_runner("serving_default")
        return dict(runner(images=images))
    named = {name: facts["tensor"] for name, facts in answer["outputs"].items()}
    if kind == "onnx":
        import onnxruntime  # takes a second

        session = onnxruntime.InferenceSession(str(path))
        found = session.run(list(named.values()), {"images:0": images})
    else:
        with tf2.Graph().as_default() as graph:
            graph_def = tf2.compat.v1.GraphDef.FromString(path.read_bytes())
            tf2.compat.v1.import_graph_def(graph_def, name="")
            with tf2.compat.v1.Session(graph=graph) as session:
                found = session.run(list(named.values()), {"images:0": images})
    return dict(zip(named, found, strict=True))


@pytest.mark.slow
def test_report(run: Any) -> None:
    folder, _ = run
    made = report(folder / "run", out=folder / "report")
    page = Page(folder / "report/report.html")
    assert "Head colour" in page.text
    assert "Head size" in page.text
    assert {"confusion_head_colour.png", "accuracy_head_size.png"} <= set(made["pictures"])
    report(folder / "run", out=folder / "report")  # its own pictures do not count as strangers


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"augment": ["flip", "mixup"], "label_smoothing": 0.1},
        {"micro_batches": 2, "head_weights": {"colour": 0.3}},
        {"precision": "float16", "schedule": "plateau", "eval_steps": 2},
    ],
    ids=["mixed", "micro", "float16"],
)
def test_cuts_change_nothing(options: dict[str, Any], tmp_path: Path) -> None:
    ends = []
    given = {**OPTIONS, **options, "data": head_runs.arrays(), "steps": 9}
    for name, stops in (("straight", [9]), ("cut", [2, 3, 7, 9])):
        for stop in stops:
            own = {**given, "checkpoint_steps": 1000, "save_dir": str(tmp_path / name)}
            with Train(model=small_run.network, **own) as train:
                train.train(steps=stop)
                found = small_run.variables(train)
        ends.append(found)
    small_run.assert_same_bits(ends[1], ends[0])


@pytest.mark.slow
def test_a_built_in_network_learns_both(tmp_path: Path) -> None:
    given = {**OPTIONS, "steps": 120, "checkpoint_steps": 1000, "tensorboard": ["projector"]}
    given["tensorboard"] += ["confusion_matrix", "pr_curves"]
    with Train(
        model="mnist_mlp", data=head_runs.arrays(), save_dir=str(tmp_path), **given
    ) as train:
        result = train.train()
        accuracy = train.session.run(train.train_graph.train_accuracy)
    assert result["exact_match"] > 0.6
    assert accuracy * 2 * 10 == pytest.approx(round(accuracy * 20))
    labels = (tmp_path / "logs/val/projector/labels.tsv").read_text()
    assert "red + small" in labels


@pytest.mark.slow
def test_own_losses_and_metrics_get_each_head(tmp_path: Path) -> None:
    data = head_runs.arrays()
    made = {"model": small_run.linear, "data": data, **OPTIONS, "steps": 10}
    ends = []
    for name, options in (
        ("own", {"loss": summed, "metrics": {"of_colour": of_colour}}),
        ("ours", {}),
    ):
        with Train(save_dir=str(tmp_path / name), **{**made, **options}) as train:
            ends.append((train.train(), small_run.variables(train)))
    (own, mine), (ours, theirs) = ends
    assert own["of_colour"] == pytest.approx(own["heads"]["colour"]["accuracy"])
    assert own["loss"] == pytest.approx(ours["loss"], rel=1e-4)
    for variable, value in theirs.items():
        np.testing.assert_allclose(mine[variable], value, rtol=1e-3, atol=1e-5)


def summed(labels: Any, logits: Any) -> Any:
    from cnnlab.base.tf1 import tf

    return sum(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels[head], logits=own)
        for head, own in logits.items()
    )


def of_colour(labels: Any, logits: Any) -> Any:
    from cnnlab.base.tf1 import tf

    return tf.equal(labels["colour"], tf.argmax(logits["colour"], axis=1))
