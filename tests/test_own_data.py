"""Data of the user's own, of every kind, on its way through all commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab import Train, dataset_from_arrays
from cnnlab.base.errors import CnnlabError, DataError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.data.datasets import Dataset
from cnnlab.evaluate import evaluate
from cnnlab.export import export
from cnnlab.predict import predict
from cnnlab.report import report
from tests import small_run

N, TRAINED = 60, 40


def images() -> Any:
    """Return uint8 [60, 8, 8, 3]: the top half, the bottom half, both or neither are bright."""
    rng = np.random.default_rng(5)
    found = rng.integers(0, 100, (N, 8, 8, 3)).astype(np.uint8)
    found[bright()[:, 0] == 1, :4] += 120
    found[bright()[:, 1] == 1, 4:] += 120
    return found


def bright() -> Any:
    """Return int [60, 2]: whether the top and the bottom half are bright."""
    return np.stack([np.arange(N) % 2, np.arange(N) // 2 % 2], axis=1)


def data_set(pictures: Any, labels: Any, **arguments: Any) -> Dataset:
    first, rest = slice(None, TRAINED), slice(TRAINED, None)
    pairs = [(pictures[part], labels[part]) for part in (first, rest)]
    return dataset_from_arrays(*pairs, **arguments)


TOP = bright()[:, 0]
VALUES = images().mean(axis=(2, 3)).reshape(N, 2, 4).mean(axis=2) / 255  # of both halves
KINDS: dict[str, tuple[Dataset, dict[str, Any]]] = {
    "names": (data_set(images(), np.array(["dark", "bright"])[TOP]), {}),
    "one-hot": (data_set(images(), np.eye(2)[TOP]), {"augment": ["mixup"]}),
    "bool": (data_set(images(), TOP == 1), {"scaling": "zca"}),
    "labels": (
        data_set(images(), bright(), class_names=["top", "bottom"]),
        {"loss": "sigmoid", "augment": ["flip", "mixup"], "label_smoothing": 0.1},
    ),
    "value": (data_set(images(), VALUES[:, 0]), {"loss": "mse"}),
    "values": (data_set(images(), VALUES), {"loss": "mae", "augment": ["cutmix"]}),
    "logs": (data_set(images(), VALUES), {"loss": "msle", "micro_batches": 2}),
    "floats": (
        data_set(images() / 255, TOP, image_range=(0, 1)),
        {"augment": ["brightness", "pad_and_crop"], "scaling": "normalize"},
    ),
    "signed": (
        data_set(images() / 127.5 - 1, TOP, image_range=(-1, 1)),
        {"augment": ["rotate", "cutout"], "scaling": "standardize"},
    ),
    "float values": (data_set(images() / 255, VALUES, image_range=(0, 1)), {"loss": "mse"}),
}


def make(save_dir: Path, kind: str, **options: Any) -> Train:
    data, needed = KINDS[kind]
    given = {"model": "mnist_mlp", "batch_size": 6, "steps": 40, "eval_steps": 10}
    given |= {"summary_steps": 10, "checkpoint_steps": 10, "learning_rate": 0.003}
    given |= {"device": "cpu", "save_dir": str(save_dir)}
    return Train(data=data, **{**given, **needed, **options})


def trained(save_dir: Path, kind: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the result and all variables."""
    with make(save_dir, kind, **options) as train:
        return train.train(), small_run.variables(train)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_goes_through_all_commands(kind: str, tmp_path: Path) -> None:
    data, folder = KINDS[kind][0], tmp_path / "run"
    result, straight = trained(folder, kind)
    # Stopped and resumed, it is the same to the bit.
    trained(tmp_path / "cut", kind, hooks=[small_run.StopAt(13)])
    resumed, cut = trained(tmp_path / "cut", kind)
    small_run.assert_same_bits(cut, straight)
    both = [{k: v for k, v in one.items() if k != "seconds"} for one in (result, resumed)]
    assert both[0] == both[1]

    found = evaluate(folder, data=data.test[:2])
    for name in {"accuracy", "exact_match", "mse", "mae", "r2", "loss", "n"} & result.keys():
        assert found[name] == pytest.approx(result[name], rel=1e-5), name

    pictures = [str(tmp_path / f"{i}.png") for i in range(5)]
    for path, image in zip(pictures, images()[TRAINED:], strict=False):
        Image.fromarray(image).save(path)
    answers = predict(pictures, folder)
    with make(folder, kind) as train:
        outputs = train.predict(data.test.images[:5])
    names = data.spec.class_names
    for answer, row in zip(answers, outputs, strict=True):
        key = {"classes": "top", "labels": "probabilities", "values": "values"}[data.spec.targets]
        given = answer[key]
        if key == "top":
            given = {one["class"]: one["probability"] for one in given}
        assert [given[name] for name in names] == pytest.approx(row.tolist(), abs=1e-5)

    written = report(folder, data=data.test[:2], out=tmp_path / "report")
    assert written["runs"][0]["loss"] == pytest.approx(result["loss"], rel=1e-5)

    saved = export(folder, out=tmp_path / "exported")
    with tf.Graph().as_default(), tf.Session() as session:
        model = tf.saved_model.load(session, ["serve"], str(tmp_path / "exported"))
        signature = model.signature_def["serving_default"]
        (output,) = {"probabilities", "values"} & set(signature.outputs)
        fed = {signature.inputs["images"].name: data.test.images[:5]}
        computed = session.run(signature.outputs[output].name, fed)
    np.testing.assert_allclose(computed, outputs, atol=1e-5)
    expected_type = "uint8" if data.spec.image_range is None else "float32"
    assert saved["inputs"]["images"]["dtype"] == expected_type


@pytest.mark.slow
def test_int8_is_measured_on_given_images(tmp_path: Path) -> None:
    data = KINDS["floats"][0]
    trained(tmp_path / "run", "floats", steps=5)
    with pytest.raises(UsageError, match=r"arrays of a script; pass them in Python: export\("):
        export(tmp_path / "run", "tflite", precision="int8")
    with pytest.raises(DataError, match="outside image_range"):
        export(tmp_path / "run", "tflite", precision="int8", images=images())
    found = export(tmp_path / "run", "tflite", precision="int8", images=data.train.images)
    assert found["inputs"]["images"]["dtype"] == "float32"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "values", "floats"])
def test_pictures_for_tensorboard_take_every_kind(kind: str, tmp_path: Path) -> None:
    parts = ["images", "confusion_matrix", "pr_curves", "projector"]
    trained(tmp_path / "run", kind, tensorboard=parts, layer_summaries=True)
    assert (tmp_path / "run/logs/val/projector/labels.tsv").is_file()


@pytest.mark.slow
def test_floats_are_what_uint8_is(tmp_path: Path) -> None:
    """A range is mapped to 0 to 255, so the network sees the same numbers but for rounding."""
    as_floats = dataset_from_arrays(
        (images()[:TRAINED] / 51 - 2, TOP[:TRAINED]),
        (images()[TRAINED:] / 51 - 2, TOP[TRAINED:]),
        image_range=(-2, 3),
    )
    as_bytes = data_set(images(), TOP)
    augment = ["flip", "contrast", {"pad_and_crop": {"pixels": 2}}, "gaussian_noise"]
    found = []
    for name, data in (("floats", as_floats), ("bytes", as_bytes)):
        given: dict[str, Any] = {"augment": augment, "scaling": "normalize", "steps": 5}
        with small_run.make(tmp_path / name, small_run.linear, data, **given) as train:
            train.train()
            found.append((small_run.variables(train), train.predict(data.test.images)))
    for name, value in found[1][0].items():
        np.testing.assert_allclose(found[0][0][name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-4)


def test_resuming_with_another_range_is_refused(tmp_path: Path) -> None:
    pictures = images() / 255
    for image_range, refused in (((0, 1), False), ((0, 2), True)):
        data = data_set(pictures, TOP, image_range=image_range)
        with small_run.make(tmp_path / "run", small_run.linear, data, steps=2) as train:
            if refused:
                with pytest.raises(UsageError, match="holds another run: other image range"):
                    train.train()
            else:
                train.train()


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("labels", {"loss": "softmax"}, "is for one class an image, but the images have several"),
        ("value", {"loss": "softmax"}, "but the labels are real values; use .*mse"),
        ("value", {"loss": "mse", "monitor": "accuracy"}, "real values, which have no accuracy"),
        ("value", {"loss": "mse", "output": "softmax"}, "add up to 1, but the labels are real"),
        ("value", {"loss": "mse", "label_smoothing": 0.1}, "but the labels are real values"),
        ("labels", {"loss": "sigmoid", "class_weights": "balanced"}, "one class an image"),
    ],
)
def test_options_that_do_not_fit_the_labels_are_refused(
    kind: str, options: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=why) as error:
        Train(data=KINDS[kind][0], save_dir=str(tmp_path), batch_size=6, **options)
    assert "\n" not in str(error.value)


def test_msle_needs_labels_that_are_not_negative(tmp_path: Path) -> None:
    data = data_set(images(), VALUES - 0.5)
    with pytest.raises(DataError, match=r"train labels: the smallest is -0\.\d+, but .*msle"):
        Train(data=data, loss="msle", save_dir=str(tmp_path), batch_size=6)


def test_a_run_of_real_values_logs_no_accuracy(tmp_path: Path) -> None:
    with make(tmp_path / "run", "values", steps=10) as train:
        result = train.train()
    assert "accuracy" not in result
    assert result["best"].keys() == {"step", "loss"}
    text = (tmp_path / "run/metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"mse", "mae", "r2"} <= lines[-1].keys()
    assert not any("accuracy" in line for line in lines)
    assert train.config.monitor == "loss"
    assert train.config.output == "linear"
    below = (images(), VALUES - 0.5)
    for loss, message in {
        "msle": "given labels: the smallest is -0",
        "hinge": "use --loss=ms",
    }.items():
        with pytest.raises(CnnlabError, match=message):
            evaluate(tmp_path / "run", data=below, loss=loss)


@pytest.mark.slow
def test_names_are_those_of_the_training_labels(tmp_path: Path) -> None:
    data = KINDS["names"][0]
    assert data.spec.class_names == ("bright", "dark")
    with make(tmp_path / "run", "names", steps=5) as train:
        train.train()
    names = np.array(["dark", "bright"])[TOP[TRAINED:]]
    found = evaluate(tmp_path / "run", data=(data.test.images, names))
    assert found["accuracy"] == evaluate(tmp_path / "run", data=data.test[:2])["accuracy"]
    with pytest.raises(DataError, match="given labels: no class pink; the classes are bright, da"):
        evaluate(tmp_path / "run", data=(data.test.images[:1], ["pink"]))


@pytest.mark.slow
def test_images_outside_the_range_are_refused_in_prediction(tmp_path: Path) -> None:
    with make(tmp_path / "run", "floats", steps=5) as train:
        train.train()
        with pytest.raises(CnnlabError, match=r"are in 0\.\.200, outside image_range=\(0\.0, 1\."):
            train.predict(np.arange(192, dtype=np.float32).reshape(1, 8, 8, 3) / 191 * 200)
