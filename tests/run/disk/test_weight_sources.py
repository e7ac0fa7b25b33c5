"""Starting from weights of other programs: Keras's files, and checkpoints of TensorFlow 1."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.config.keras_networks import SCALING_OF
from cnnlab.config.resolve import resolve
from cnnlab.models.pretrained import imagenet, keras_weights
from cnnlab.run.disk.config_file import load_config
from tests import small_run
from tests.data.servers import Server
from tests.models.pretrained.test_keras_weights import vgg_like, write

VGG: dict[str, Any] = {
    "model": "vgg16",
    "model_options": {"dense_units": 8},
    "data": small_run.arrays(size=32),
    "augment": [],
}


def start_of(folder: Path, **options: Any) -> dict[str, Any]:
    """Return all variables before the first step."""
    with small_run.make(folder, **options) as train:
        return small_run.variables(train)


def keras_file(path: Path) -> Path:
    """Return a file that Keras itself writes, of VGG-16 with random weights, without its top."""
    import keras

    network = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    (network.save_weights if path.name.endswith(".weights.h5") else network.save)(path)
    return path


@pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")  # Keras with NumPy 2
@pytest.mark.parametrize("name", ["n.weights.h5", pytest.param("n.keras", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_files_of_keras(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = keras_file(tmp_path / name)
    expected = keras_weights.load_keras_weights(path, "vgg16")
    found = start_of(tmp_path / "run", init_from=str(path), init_skip="block5/conv3", **VGG)
    for variable, value in expected.items():
        assert np.array_equal(found[variable], value) != variable.startswith("block5/conv3/ker")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"starting from {path}: 24 of 32 variables loaded"
    assert "  not loaded: block5/conv3/kernel matches --init_skip" in lines
    assert "  not loaded: logits/kernel (float32 [8, 4]) is not there" in lines
    assert "  note: weights from ImageNet expect --scaling=caffe" in lines


@pytest.mark.slow
def test_layers_of_other_shapes_and_another_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dense = {"kernel": np.zeros((512, 2), np.float32), "bias": np.zeros(2, np.float32)}
    grey = {"kernel": np.ones((3, 3, 1, 64), np.float32), "bias": np.ones(64, np.float32)}
    write(tmp_path / "mine.h5", vgg_like(block1_conv1=grey, my_head=dense))
    start_of(tmp_path / "run", init_from=str(tmp_path / "mine.h5"), scaling="caffe", **VGG)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("25 of 32 variables loaded")
    shapes = "float32 [3, 3, 1, 64] there, float32 [3, 3, 3, 64] here"
    assert f"  not loaded: block1/conv1/kernel is {shapes}" in lines
    assert "  not used: my_head/0 (float32 [512, 2]) is not in this model" in lines
    assert not any("note:" in line for line in lines)


def checkpoint(prefix: Path, arrays: dict[str, Any], version: int = tf.train.SaverDef.V2) -> None:
    """Write a checkpoint as a program of TensorFlow 1 does."""
    with tf.Graph().as_default(), tf.Session() as session:
        for name, value in arrays.items():
            tf.get_variable(name, initializer=value, use_resource=False)
        session.run(tf.global_variables_initializer())
        tf.train.Saver(write_version=version).save(session, str(prefix))


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.slow
def test_a_checkpoint_of_tensorflow_1(as_file: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)
    theirs = {"net/conv1/weights": kernel, "net/conv1/biases": bias, "net/other": bias}
    # The older format is one file.
    version = tf.train.SaverDef.V1 if as_file else tf.train.SaverDef.V2
    checkpoint(tmp_path / "model.ckpt-7", theirs, version)
    renaming: Any = {r"^net/(\w+)/": r"\1/", "weights$": "kernel", "biases$": "bias"}
    if as_file:
        (tmp_path / "map.yaml").write_text("".join(f"'{k}': '{v}'\n" for k, v in renaming.items()))
        renaming = str(tmp_path / "map.yaml")
    options: dict[str, Any] = {"init_from": str(tmp_path / "model.ckpt-7"), "init_map": renaming}
    found = start_of(tmp_path / "run", **options)
    np.testing.assert_array_equal(found["conv1/kernel"], kernel)
    np.testing.assert_array_equal(found["conv1/bias"], bias)
    straight = small_run.run(tmp_path / "straight", steps=4, **options)
    stop = [small_run.StopAt(2)]
    small_run.run(tmp_path / "cut", steps=4, hooks=stop, checkpoint_steps=2, **options)
    cut = small_run.run(tmp_path / "cut", steps=4, checkpoint_steps=2, **options)
    small_run.assert_same_bits(cut, straight)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"init_from": "gone.h5"}, UsageError, "--init_from=gone.h5: there is no such file"),
        ({"init_from": "text.keras"}, UsageError, "no Keras weights for the model .*, only for "),
        ({"init_from": "text.h5", **VGG}, CnnlabError, "cannot read text.h5 as a Keras weight"),
        ({"init_from": "text.keras", **VGG}, CnnlabError, "cannot read text.keras as a Keras"),
        ({"init_from": "n.h5", **VGG, "model": "vgg19"}, CnnlabError, "13 convolution .* has 16"),
        ({"init_from": "imagenet"}, UsageError, "--init_from=imagenet: there are no such weights"),
        ({"init_skip": "a"}, UsageError, "--init_skip needs --init_from"),
        ({"init_map": {"a": "b"}}, UsageError, "--init_map needs --init_from"),
        ({"init_from": "c", "init_skip": "("}, UsageError, "not a regular expression: missing"),
        ({"init_from": "c", "init_skip": "dense"}, UsageError, "--init_skip=dense matches no "),
        ({"init_from": "c", "init_map": "gone.yaml"}, UsageError, "cannot be read: No such file"),
        ({"init_from": "c", "init_map": {"b$": "a"}}, CnnlabError, "gives x/a and x/b the same"),
        ({"init_from": "c", "init_map": {"b$": r"\3"}}, UsageError, "--init_map: b.*reference 3"),
        ({"init_from": "c"}, CnnlabError, "no variable there has the name and shape of one of"),
        ({"init_from": "bias"}, CnnlabError, "no kernel there has the name and shape of one of"),
        ({"init_from": "c", "init_step": 3}, UsageError, "no meaning: --init_from=c is a checkp"),
        ({"init_from": "damaged"}, CnnlabError, "checkpoint damaged is damaged: "),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_loaded(
    options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    Path("text.h5").write_text("dear")
    Path("text.keras").write_text("dear")
    write(Path("n.h5"), vgg_like())
    checkpoint(Path("c"), {"x/a": np.zeros(3, np.float32), "x/b": np.ones(3, np.float32)})
    checkpoint(Path("bias"), {"conv1/bias": np.zeros(4, np.float32)})  # as another network may
    Path("damaged.index").write_text("dear")
    with pytest.raises(error, match=message) as caught:
        small_run.run(tmp_path / "run", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")  # Keras with NumPy 2
def test_imagenet_from_a_local_server(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The file is fetched once, its checksum compared each time, and the scaling stored."""
    content = keras_file(tmp_path / "n.h5").read_bytes()
    server.files["/vgg16.h5"] = content
    source = imagenet.WeightsFile(f"{server.address}/vgg16.h5", hashlib.md5(content).hexdigest())
    monkeypatch.setitem(imagenet.FILES, "vgg16", source._replace(md5="0" * 32))
    options: dict[str, Any] = {"init_from": "imagenet", "data_dir": str(tmp_path / "d"), **VGG}
    with pytest.raises(CnnlabError, match=r"expected MD5 0000.*put the file into .*keras_applicat"):
        start_of(tmp_path / "run", **options)
    path = tmp_path / "d" / "keras_applications" / "vgg16.h5"
    assert not path.exists()
    monkeypatch.setitem(imagenet.FILES, "vgg16", source)
    expected = keras_weights.load_keras_weights(tmp_path / "n.h5", "vgg16")
    requests = server.requests["/vgg16.h5"]
    for _ in range(2):
        found = start_of(tmp_path / "run", **options)
        assert all(np.array_equal(found[name], value) for name, value in expected.items())
    assert server.requests["/vgg16.h5"] == requests + 1
    assert "note:" not in capsys.readouterr().err
    small_run.run(tmp_path / "run", steps=1, **{**options, "optimizer": "sgd", "momentum": None})
    assert load_config(tmp_path / "run").scaling == "caffe"
    path.write_bytes(content[:-1])
    with pytest.raises(CnnlabError, match=r"vgg16\.h5: expected MD5 .*; delete the file"):
        start_of(tmp_path / "other", **options)


def test_imagenet_chooses_the_scaling_unless_the_user_does() -> None:
    for model, scaling in SCALING_OF.items():
        assert resolve({"init_from": "imagenet", "model": model}).scaling == scaling
    vgg = {"init_from": "imagenet", "model": "vgg16"}
    assert resolve({**vgg, "scaling": "unit"}).scaling == "unit"
    assert resolve({**vgg, "augment": ["flip", "normalize"]}).scaling == "unit"
    assert resolve({"model": "vgg16"}).scaling == "unit"


def test_the_tables_name_the_same_networks() -> None:
    assert {*SCALING_OF} == {*imagenet.FILES} == {*keras_weights.NETWORKS}


def test_addresses_and_checksums_are_those_in_keras_s_source() -> None:
    import keras

    folder = Path(keras.__file__).parent / "src" / "applications"
    homes = {"densenet121": "densenet", "efficientnet_b0": "efficientnet"}
    for model, file in imagenet.FILES.items():
        home = homes.get(model, "resnet" if model.startswith("resnet") else model)
        text = (folder / f"{home}.py").read_text()
        joined = text.replace('"\n    "', "")
        base, _, name = file.address.rpartition("/")
        assert base.removeprefix("https://storage.googleapis.com/")[:30] in joined
        assert file.md5 is None or f'"{file.md5}"' in text
        assert model in name or model.replace("_", "") in name
