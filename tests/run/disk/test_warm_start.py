"""Warm start from another run's weights, and runs whose folder was moved."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab import Train, layers
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.evaluate import evaluate
from cnnlab.predict import predict
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.config_file import load_config
from tests import small_run

NETWORK = {
    "conv1/kernel",
    "conv1/bias",
    "norm1/gamma",
    "norm1/beta",
    "norm1/moving_mean",
    "norm1/moving_variance",
    "logits/kernel",
    "logits/bias",
}


def run(folder: Path, **options: Any) -> dict[str, Any]:
    """Train with evaluations and checkpoints in between, and return all variables."""
    return small_run.run(folder, **{**small_run.BUSY, **options})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run of 9 steps, with checkpoints of the last two."""
    folder = tmp_path_factory.mktemp("source") / "run"
    run(folder, max_to_keep=2, ema_decay=0.9, scaling="normalize")
    return folder


def of_checkpoint(folder: Path, step: int) -> dict[str, Any]:
    """Return the variables of a checkpoint, name to value, read by TensorFlow."""
    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def start_of(folder: Path, **options: Any) -> dict[str, Any]:
    """Return all variables before the first step."""
    with small_run.make(folder, **options) as train:
        return small_run.variables(train)


@pytest.mark.slow
def test_the_network_starts_with_the_other_runs_weights(source: Path, tmp_path: Path) -> None:
    """It does not get the optimizer's state, the step, the averages or the input statistics."""
    theirs = of_checkpoint(source, 9)
    options: dict[str, Any] = {"ema_decay": 0.9, "lookahead_steps": 5, "scaling": "normalize"}
    half = tuple((images // 2, labels) for images, labels in small_run.arrays())
    fresh = start_of(tmp_path / "fresh", data=half, **options)
    found = start_of(tmp_path / "warm", data=half, init_from=str(source), **options)
    assert found.keys() == fresh.keys()
    for name, value in found.items():
        of_network = name.removeprefix("ema/").removeprefix("lookahead/")
        expected = theirs[of_network] if of_network in NETWORK else fresh[name]
        np.testing.assert_array_equal(value, expected, err_msg=name)
    assert not np.array_equal(found["conv1/kernel"], fresh["conv1/kernel"])
    assert not np.array_equal(found["ema/conv1/kernel"], theirs["ema/conv1/kernel"])
    assert not np.array_equal(found["input_statistics/mean"], theirs["input_statistics/mean"])
    assert list(tmp_path.iterdir()) == []


def other_model(images: Any, num_classes: int, *, training: bool) -> Any:
    """A model with the same convolution, a new layer dense1, and another number of classes."""
    x = layers.conv2d(images, 4, 3, padding="same", name="conv1")
    x = layers.max_pooling2d(tf.nn.relu(x), 2, 2, name="pool")
    x = layers.dense(layers.flatten(x, name="flatten"), 6, name="dense1")
    return layers.dense(x, num_classes + 1, name="logits")[:, :num_classes]


@pytest.mark.slow
def test_variables_that_do_not_match_are_listed_and_initialized(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = start_of(tmp_path / "fresh", model=other_model)
    capsys.readouterr()
    found = start_of(tmp_path / "warm", model=other_model, init_from=str(source))
    assert capsys.readouterr().err.splitlines() == [
        f"starting from {source}, step 9: 2 of 6 variables loaded",
        "  not loaded: dense1/kernel (float32 [64, 6]) is not there",
        "  not loaded: dense1/bias (float32 [6]) is not there",
        "  not loaded: logits/kernel is float32 [64, 4] there, float32 [6, 5] here",
        "  not loaded: logits/bias is float32 [4] there, float32 [5] here",
        "  not used: norm1/beta (float32 [4]) is not in this model",
        "  not used: norm1/gamma (float32 [4]) is not in this model",
        "  not used: norm1/moving_mean (float32 [4]) is not in this model",
        "  not used: norm1/moving_variance (float32 [4]) is not in this model",
    ]
    theirs = of_checkpoint(source, 9)
    for name, value in found.items():
        expected = theirs[name] if name in ("conv1/kernel", "conv1/bias") else fresh[name]
        np.testing.assert_array_equal(value, expected, err_msg=name)


@pytest.mark.slow
def test_a_killed_run_resumes_exactly_without_its_source(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(source, mine)
    straight = run(tmp_path / "straight", init_from=str(mine))
    stopped = tmp_path / "stopped"
    run(stopped, hooks=[small_run.StopAt(4)], init_from=str(mine))
    shutil.rmtree(mine)
    small_run.assert_same_bits(run(stopped, init_from=str(mine)), straight)


@pytest.mark.slow
def test_the_source_s_step_is_saved_from_the_start(source: Path, tmp_path: Path) -> None:
    """A run killed before its first checkpoint starts from the same step, not from a newer one."""
    mine, folder = tmp_path / "mine", tmp_path / "run"
    shutil.copytree(source, mine)
    for path in mine.glob("model.ckpt-9.*"):
        path.rename(tmp_path / path.name)
    straight = run(folder, init_from=str(mine))
    assert (load_config(folder).init_from, load_config(folder).init_step) == (str(mine), 8)
    Checkpoints(folder).remove_all()
    (folder / "result.json").unlink()
    for path in tmp_path.glob("model.ckpt-9.*"):
        path.rename(mine / path.name)
    small_run.assert_same_bits(run(folder), straight)
    newest = run(tmp_path / "newest", init_from=str(mine))
    assert not np.array_equal(newest["conv1/kernel"], straight["conv1/kernel"])
    small_run.assert_same_bits(run(tmp_path / "older", init_from=str(mine), init_step=8), straight)


@pytest.mark.slow
def test_the_best_and_a_file_are_sources_too(source: Path, tmp_path: Path) -> None:
    (best,) = Checkpoints(source / "best").steps()
    found = start_of(tmp_path / "a", init_from=str(source / "best"))
    np.testing.assert_array_equal(
        found["logits/kernel"], of_checkpoint(source / "best", best)["logits/kernel"]
    )
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(64, 4)).astype(np.float32)
    np.savez("mine.npz", **{"logits/kernel": kernel, "extra": kernel})
    found = start_of(tmp_path / "b", init_from="mine.npz")
    assert np.array_equal(found["logits/kernel"], kernel)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"init_from": "gone"}, UsageError, "--init_from=gone: there is no such run directory"),
        ({"init_from": "none.npz"}, UsageError, "--init_from=none.npz: there is no such file"),
        ({"init_from": "empty"}, CnnlabError, "--init_from=empty holds no checkpoint"),
        ({"init_from": "SOURCE", "init_step": 5}, CnnlabError, "no checkpoint of step 5; it has"),
        ({"init_step": 5}, UsageError, "--init_step needs --init_from"),
        (
            {"init_from": "a.npz", "init_step": 5},
            UsageError,
            r"no meaning: --init_from=a\.npz is a file",
        ),
        ({"init_from": "text.npz"}, CnnlabError, "weights text.npz cannot be read: "),
        ({"init_from": "objects.npz"}, CnnlabError, "logits/bias.npy holds Python objects"),
        ({"init_from": "short.npz"}, CnnlabError, "a.npy is truncated"),
        (
            {"init_from": "other.npz"},
            CnnlabError,
            "the name and shape of one of this model: there: logits/bias; here: conv1/kernel, con",
        ),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_loaded_leaves_no_file(
    options: dict[str, Any], error: type[Exception], message: str, source: Path, tmp_path: Path
) -> None:
    Path("empty").mkdir()
    Path("text.npz").write_text("dear")
    np.savez("objects.npz", **{"logits/bias": np.array([{}, {}])})
    np.savez("other.npz", **{"logits/bias": np.zeros(5, np.float32)})
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    with zipfile.ZipFile("short.npz", "w") as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, claim)
    before = sorted(tmp_path.rglob("*"))
    given = {name: str(source) if v == "SOURCE" else v for name, v in options.items()}
    with pytest.raises(error, match=message):
        run(tmp_path / "run", **given)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_damaged_checkpoint_is_skipped_and_named_if_it_was_asked_for(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(source, mine)
    data = mine / "model.ckpt-9.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[: len(content) // 2] = bytes(len(content) // 2)
    data.write_bytes(content)
    found = start_of(tmp_path / "run", init_from=str(mine))
    assert "model.ckpt-9 is damaged" in capsys.readouterr().err
    assert np.array_equal(found["conv1/kernel"], of_checkpoint(source, 8)["conv1/kernel"])
    with pytest.raises(CnnlabError, match=r"checkpoint .*model.ckpt-9 is damaged"):
        start_of(tmp_path / "run", init_from=str(mine), init_step=9)


@pytest.mark.slow
def test_a_run_does_not_start_from_itself(source: Path, tmp_path: Path) -> None:
    """--overwrite would delete its own source."""
    mine = tmp_path / "mine"
    shutil.copytree(source, mine)
    for folder in (mine, mine / "best"):
        with pytest.raises(UsageError, match="is in the run's own --save_dir"):
            run(mine, init_from=str(folder), overwrite=True)
    assert Checkpoints(mine).steps() == [8, 9]


@pytest.mark.slow
def test_another_source_is_another_run(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_run.make(tmp_path / "run", init_from=str(source)) as train:
        train.evaluate()
        train.train()
    assert capsys.readouterr().err.count("starting from") == 1  # the session was kept
    with pytest.raises(
        UsageError, match=r"holds another run: init_from \(.*run there, .*best here"
    ):
        run(tmp_path / "run", init_from=str(source / "best"), steps=12)


@pytest.mark.slow
def test_a_moved_run_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run has a new name and parent folder, and its old folder is gone."""
    straight = run(tmp_path / "straight", steps=14)
    (tmp_path / "old").mkdir()
    run(tmp_path / "old/run", log_dir=str(tmp_path / "old/run/logs"))
    figures = json.loads((tmp_path / "old/run/result.json").read_text())
    (tmp_path / "new").mkdir()
    (tmp_path / "old/run").rename(tmp_path / "new/save")
    (tmp_path / "old").rmdir()
    monkeypatch.chdir(tmp_path / "new")
    # No save_dir is given, because ./save is the default.
    given = {**small_run.OPTIONS, **small_run.BUSY}
    with Train(model=small_run.network, data=small_run.arrays(), **given) as train:
        assert train.evaluate()["loss"] == figures["loss"]
        result = train.train(steps=14)
        small_run.assert_same_bits(small_run.variables(train), straight)
    assert result["step"] == 14
    config = load_config("save")
    assert (config.save_dir, config.log_dir) == ("save", "save/logs")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "straight", "straight-logs"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["save"]
    assert list(Path("save/logs/train").glob("*"))


@pytest.mark.slow
def test_the_commands_follow_a_moved_run(trained: Any, tmp_path: Path) -> None:
    """The run was made in another folder, where it was ./save."""
    shutil.copytree(trained.folder / "save", "moved")
    result = json.loads(trained.stdout)
    assert evaluate("moved", device="cpu")["loss"] == result["loss"]
    Image.new("RGB", (40, 30)).save("a.png")
    expected = predict(["a.png"], str(trained.folder / "save"))
    assert predict(["a.png"], "moved", device="cpu") == expected
    with pytest.raises(UsageError, match="--device=gqu is not valid"):
        evaluate("moved", device="gqu")
