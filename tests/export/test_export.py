"""Run exported models without cnnlab, and compare with the predictions of the run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train, dataset_from_arrays
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf, tf2
from cnnlab.data.datasets import load_dataset
from cnnlab.export import export
from cnnlab.predict import predict
from cnnlab.run.disk.config_file import load_config
from cnnlab.run.trained_model import TrainedModel
from tests import commands, small_run
from tests.export.image_files import save_image_files

NUM_IMAGES = 20
READER = Path(__file__).parent / "plain_reader.py"


def test_npz_holds_the_weights_by_name(trained: Any, tmp_path: Path) -> None:
    save_dir = str(trained.folder / "save")
    answer = export(save_dir, "npz", "w.npz", checkpoint="20")
    reader = tf.train.load_checkpoint(f"{save_dir}/model.ckpt-20")
    with np.load("w.npz", allow_pickle=False) as file:
        assert sorted(file) == ["logits/bias", "logits/kernel"]
        for name in file:
            assert file[name].tobytes() == reader.get_tensor(name).tobytes()
    assert answer["variables"] == {"logits/kernel": [3072, 10], "logits/bias": [10]}
    assert (answer["step"], answer["bytes"]) == (20, Path("w.npz").stat().st_size)
    assert answer == json.loads(Path("w.npz.json").read_text())
    before = Path("w.npz").read_bytes()
    with pytest.raises(UsageError, match=r"w\.npz exists; choose another --out, or --overwrite"):
        export(save_dir, "npz", "w.npz")
    assert Path("w.npz").read_bytes() == before
    assert export(save_dir, "npz", "w.npz", overwrite=True)["step"] == 40
    assert Path("w.npz").read_bytes() != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.npz", "w.npz.json"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format": "h5"}, UsageError, "--format=h5 is not valid"),
        ({"format": "npz", "precision": "int8"}, UsageError, "=int8 needs --format=tflite"),
        ({"checkpoint": "3"}, CnnlabError, "has no checkpoint of step 3; it has: 20, 40"),
        ({"checkpoint": "last"}, UsageError, "--checkpoint=last is not latest, best or"),
        ({"save_dir": "none"}, CnnlabError, "none holds no run"),
        ({"out": "kept", "overwrite": True}, UsageError, "kept is not a SavedModel, so it is kept"),
        ({"format": "frozen", "out": "kept", "overwrite": True}, UsageError, "kept is not a file"),
    ],
)
def test_what_cannot_be_exported_leaves_no_file(
    options: dict[str, Any], error: type[Exception], message: str, trained: Any, tmp_path: Path
) -> None:
    Path("kept").mkdir()
    Path("kept/letter.txt").write_text("dear")
    given = {"save_dir": str(trained.folder / "save"), "out": "model", **options}
    with pytest.raises(error, match=message):
        export(**given)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "letter.txt"]


@pytest.mark.parametrize(
    ("options", "kernel"), [({}, "logits/kernel"), ({"ema_decay": 0.5}, "ema")]
)
@pytest.mark.slow
def test_the_saved_model_holds_each_weight_once(options: dict[str, Any], kernel: str) -> None:
    """It is the average where evaluation uses one, else the weight itself."""
    with small_run.make("save", "mnist_perceptron", **options) as run:
        run.train()
        images = small_run.arrays()[1][0]
        expected = run.predict(images)
    export("save")
    written = tf.train.list_variables("save/export/saved_model/variables/variables")
    assert sorted(shape for _, shape in written) == [[4], [192, 4]]
    assert all(kernel in name or "bias" in name for name, _ in written)
    model = tf2.saved_model.load("save/export/saved_model")
    answer = model.signatures["serving_default"](images=tf2.constant(images))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)


def test_class_names_keep_to_one_line_each(tmp_path: Path) -> None:
    names = ["a\nb", "c", "d", "e"]
    data = dataset_from_arrays(*small_run.arrays(), class_names=names)
    with small_run.make("save", "mnist_perceptron", data) as run:
        run.train()
    export("save")
    written = Path("save/export/saved_model/assets/class_names.txt").read_text()
    assert written == "a\\nb\nc\nd\ne\n"


# Every kind of layer occurs in one of these networks.
EXPORTED = (
    *("cifar_cnn", "mnist_cnn", "mnist_convnet", "mnist_perceptron"),
    *("airbench94", "cifar_lrn", "lenet5_1998", "resnet20", "stn"),
)
CASES: dict[str, dict[str, Any]] = {
    **{name: {"model": name} for name in EXPORTED},
    "averaged": {
        "model": "cifar_cnn",
        "model_options": {"batch_norm": "before", "dropout": 0.5},
        "ema_decay": 0.9,
        "augment": ["flip", {"random_crop": {"size": 24}}],
        "scaling": "normalize",
    },
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each case, exported in every format and read by a process without cnnlab."""
    folder = tmp_path_factory.mktemp("runs")
    data = load_dataset("shapes", folder)
    found = {}
    for name, options in CASES.items():
        run = found[name] = folder / name
        given = {"dataset": "shapes", "steps": 2, "batch_size": 20, "learning_rate": 0.001}
        given |= {"eval_examples": 10, "device": "cpu", "log_dir": str(folder / f"{name}-logs")}
        with Train(save_dir=str(run), **given, **options) as train:
            train.train()
        np.save(run / "images.npy", data.test.images[:NUM_IMAGES])
        save_image_files(run / "files", data.test.images[0])
        for form in ("saved_model", "frozen", "npz"):
            export(str(run), form)
        for precision in ("float32", "float16", "int8"):
            export(str(run), "tflite", precision=precision)
    process = commands.start_python("-I", str(READER), *map(str, found.values()), cwd=folder)
    done = commands.finish(process, folder)
    assert done.code == 0, done.stderr
    return found


def probabilities_of(run: Path, images: Any) -> Any:
    config = load_config(run)
    spec = load_dataset("shapes", run).spec
    with TrainedModel(run, config, spec) as trained:
        return trained.predict(images)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_float_formats_compute_the_same_as_the_run(case: str, runs: dict[str, Path]) -> None:
    run = runs[case]
    expected = probabilities_of(run, np.load(run / "images.npy"))
    with np.load(run / "answers.npz") as answers:
        for form in ("saved_model", "frozen", "model_float32"):
            found = answers[f"{form}/probabilities"]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=form)
            assert answers[f"{form}/classes"].tolist() == expected.argmax(1).tolist()
        half = answers["model_float16/probabilities"]
        np.testing.assert_allclose(half, expected, rtol=0, atol=5e-3)
        assert not np.array_equal(half, expected)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_encoded_images_give_the_same_as_predict(case: str, runs: dict[str, Path]) -> None:
    run = runs[case]
    files = sorted((run / "files").iterdir())
    rows = predict([str(path) for path in files], str(run), top=10)
    names = load_dataset("shapes", run).spec.class_names
    with np.load(run / "answers.npz") as answers:
        for i, row in enumerate(rows):
            found = answers["encoded/probabilities"][i]
            expected = [c["probability"] for c in row["top"]]
            order = [names.index(c["class"]) for c in row["top"]]
            np.testing.assert_allclose(found[order], expected, atol=1e-5, err_msg=row["file"])
            assert names[answers["encoded/classes"][i]] == row["class"]


@pytest.mark.slow
def test_the_saved_model_holds_class_names_and_signatures(runs: dict[str, Path]) -> None:
    folder = runs["mnist_perceptron"] / "export/saved_model"
    names = (folder / "assets/class_names.txt").read_text().splitlines()
    assert names == list(load_dataset("shapes", folder).spec.class_names)
    tool = str(Path(sys.executable).with_name("saved_model_cli"))
    shown = subprocess.run(
        [tool, "show", "--dir", str(folder), "--all"], capture_output=True, text=True, check=True
    ).stdout
    for line in (
        "signature_def['serving_default']",
        "signature_def['encoded']",
        "inputs['images'] tensor_info:\n        dtype: DT_UINT8\n        shape: (-1, 32, 32, 3)",
        "inputs['image_bytes'] tensor_info:\n        dtype: DT_STRING\n        shape: (-1)",
        "outputs['classes'] tensor_info:\n        dtype: DT_INT64\n        shape: (-1)",
    ):
        assert line in shown
    images = runs["mnist_perceptron"] / "images.npy"
    command = [tool, "run", "--dir", str(folder), "--tag_set", "serve", "--outdir", "."]
    command += ["--signature_def", "serving_default", "--inputs", f"images={images}"]
    subprocess.run(command, capture_output=True, check=True)
    expected = probabilities_of(runs["mnist_perceptron"], np.load(images))
    np.testing.assert_allclose(np.load("probabilities.npy"), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_exported_graph_holds_only_the_network(runs: dict[str, Path]) -> None:
    """It has no iterator, no training set, no placeholder with a default, and no device."""
    run = runs["averaged"]
    graph_def = tf.GraphDef.FromString((run / "export/model.pb").read_bytes())
    kinds = {node.op for node in graph_def.node}
    assert "Placeholder" in kinds
    assert not kinds & {"PlaceholderWithDefault", "VarHandleOp", "OneShotIterator", "Assert"}
    assert not any(node.device for node in graph_def.node)
    description = json.loads((run / "export/model.pb.json").read_text())
    images = {"tensor": "images:0", "dtype": "uint8", "shape": [None, 32, 32, 3]}
    assert description["inputs"] == {"images": images}
    assert set(description["outputs"]) == {"probabilities", "classes"}


@pytest.mark.slow
def test_npz_holds_the_averages_that_evaluation_uses(runs: dict[str, Path]) -> None:
    run = runs["averaged"]
    reader = tf.train.load_checkpoint(str(run / "model.ckpt-2"))
    with np.load(run / "export/weights.npz", allow_pickle=False) as file:
        for name in set(file) - {"input_statistics/mean", "input_statistics/stddev"}:
            assert np.array_equal(file[name], reader.get_tensor(f"ema/{name}")), name
        assert "conv1_norm/moving_mean" in file
        assert not np.array_equal(file["conv1/kernel"], reader.get_tensor("conv1/kernel"))
        mean = reader.get_tensor("input_statistics/mean")
        assert np.array_equal(file["input_statistics/mean"], mean)


@pytest.mark.slow
def test_the_command(trained: Any, tmp_path: Path) -> None:
    words = (f"--save_dir={trained.folder / 'save'}", "--out=a/m.tflite", "--format=tflite")
    done = commands.finish(
        commands.start("cnnlab.export", *words, "--json", cwd=tmp_path), tmp_path
    )
    assert done.code == 0, done.stderr
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert (answer["format"], answer["precision"], answer["step"]) == ("tflite", "float32", 40)
    assert sorted(path.name for path in Path("a").iterdir()) == ["m.tflite", "m.tflite.json"]
    done = commands.finish(commands.start("cnnlab.export", *words, cwd=tmp_path), tmp_path)
    assert done.code == 2
    message = "a/m.tflite exists; choose another --out, or --overwrite"
    assert commands.assert_one_error_line(done.stderr) == message


@pytest.mark.slow
def test_onnx(runs: dict[str, Path]) -> None:
    import onnxruntime  # takes a second

    for run in runs.values():
        answer = export(str(run), "onnx", "m.onnx", overwrite=True)
        images = np.load(run / "images.npy")
        session = onnxruntime.InferenceSession("m.onnx")
        names = [answer["outputs"][name]["tensor"] for name in ("probabilities", "classes")]
        probabilities, classes = session.run(names, {"images:0": images})
        expected = probabilities_of(run, images)
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
        assert classes.tolist() == expected.argmax(1).tolist()
