"""`cnnlab checkpoint list|rename|diff`, on checkpoints that TensorFlow 1's Saver writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import checkpoint
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.checkpoint.__main__ import main
from tests import commands

ARRAYS = {
    "net/conv/weights": np.arange(8, dtype=np.float32).reshape(2, 2, 1, 2),
    "net/conv/biases": np.zeros(2, np.float32),
    "net/fc/weights": np.ones((3, 2)),
    "global_step": np.int64(7),
    "words": np.array(["a", "bc"], object),
}


def saved(prefix: Path, arrays: Any) -> Path:
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.Variable(value, name=name) for name, value in arrays.items()]
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, str(prefix), write_meta_graph=False)
    return prefix


def loaded(prefix: Path) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return saved(tmp_path / "model.ckpt-7", ARRAYS)


def test_list(old: Path) -> None:
    answer = checkpoint.list_variables(old)
    rows = {row["name"]: row for row in answer["variables"]}
    assert rows.keys() == ARRAYS.keys()
    weights = rows["net/conv/weights"]
    assert (weights["dtype"], weights["shape"]) == ("float32", [2, 2, 1, 2])
    assert (weights["values"], weights["bytes"]) == (8, 32)
    assert rows["words"]["bytes"] is None
    assert answer["bytes"] == 32 + 8 + 48 + 8
    assert checkpoint.list_variables(f"{old}.index") == answer


@pytest.mark.filterwarnings("ignore")  # TensorFlow advises against the format
def test_list_the_older_format(tmp_path: Path) -> None:
    path, value = tmp_path / "vgg_16.ckpt", ARRAYS["net/conv/weights"]
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("net/conv/weights", initializer=value, use_resource=False)
        session.run(tf.global_variables_initializer())
        tf.train.Saver(write_version=tf.train.SaverDef.V1).save(session, str(path))
    (row,) = checkpoint.list_variables(path)["variables"]
    assert (row["name"], row["dtype"]) == ("net/conv/weights", "float32")
    assert row["shape"] == [2, 2, 1, 2]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CnnlabError, match="is no checkpoint"):
        checkpoint.list_variables(path)


def test_list_a_run_directory(trained: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(trained.folder / "save")
    with pytest.raises(SystemExit) as done:
        main(["list", run, f"{run}/best", "--json"])
    assert done.value.code == 0
    newest, best = json.loads(capsys.readouterr().out)
    assert newest["checkpoint"].endswith("save/model.ckpt-40")
    assert "/best/model.ckpt-" in best["checkpoint"]
    assert "logits/kernel" in {row["name"] for row in newest["variables"]}


def test_rename_keeps_values_and_types(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.ckpt"
    answer = checkpoint.rename(old, out, {"^net/": "", "weights$": "kernel"})
    assert answer["renamed"]["net/conv/weights"] == "conv/kernel"
    found = loaded(out)
    new = {"conv/kernel", "conv/biases", "fc/kernel", "global_step", "words"}
    assert found.keys() == new
    assert np.array_equal(found["conv/kernel"], ARRAYS["net/conv/weights"])
    assert found["fc/kernel"].dtype == np.float64
    assert found["words"].tolist() == [b"a", b"bc"]
    assert loaded(old).keys() == ARRAYS.keys()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_rename_refuses(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.ckpt"
    with pytest.raises(CnnlabError, match="--map gives net/conv/weights and net/fc"):
        checkpoint.rename(old, out, {"conv|fc": "layer"})
    with pytest.raises(UsageError, match="changes no name"):
        checkpoint.rename(old, out, {"tower": "net"})
    with pytest.raises(UsageError, match="invalid group reference"):
        checkpoint.rename(old, out, {"net": r"\2"})
    with pytest.raises(UsageError, match="exists; choose another"):
        checkpoint.rename(old, old, {"net": "tower"})
    with pytest.raises(CnnlabError, match=r"cannot write .*No such file"):
        checkpoint.rename(old, tmp_path / "none/new", {"net": "tower"})
    assert {path.name for path in tmp_path.iterdir()} == {
        *("checkpoint", "model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001")
    }


def test_rename_leaves_nothing_if_it_fails(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(checkpoint, "sync", fails)
    with pytest.raises(CnnlabError, match="No space left"):
        checkpoint.rename(old, tmp_path / "new", {"net": "tower"})
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_a_renamed_checkpoint_starts_a_run(trained: Any, tmp_path: Path) -> None:
    run = trained.folder / "save"
    checkpoint.rename(run, tmp_path / "theirs", {"^logits/": "net/", "kernel$": "weights"})
    checkpoint.rename(
        tmp_path / "theirs", tmp_path / "ours", {"^net/": "logits/", "weights$": "kernel"}
    )
    assert checkpoint.diff(run, tmp_path / "ours")["only_first"] == {}
    words = [f"--init_from={tmp_path / 'ours'}", f"--save_dir={tmp_path / 'run'}"]
    done = commands.finish(
        commands.start("cnnlab.train", *commands.TRAIN, *words, cwd=tmp_path), tmp_path
    )
    assert "2 of 2 variables loaded" in done.stderr


def test_diff(old: Path, tmp_path: Path) -> None:
    other = dict(ARRAYS)
    other["net/conv/weights"] = ARRAYS["net/conv/weights"] + np.float32([0, 0.5])
    other["net/fc/weights"] = np.ones((3, 4))
    other["words"] = np.array(["a", "x"], object)
    other["extra"] = np.float32(1)
    del other["net/conv/biases"]
    answer = checkpoint.diff(old, saved(tmp_path / "other", other))
    assert answer["only_first"] == {"net/conv/biases": "float32 [2]"}
    assert answer["only_second"] == {"extra": "float32 []"}
    assert answer["other_signature"] == {"net/fc/weights": ["float64 [3, 2]", "float64 [3, 4]"]}
    values = {row["name"]: row for row in answer["other_values"]}
    assert values["net/conv/weights"] == {
        "name": "net/conv/weights",
        "max_difference": 0.5,
        "different": 4,
        "values": 8,
    }
    assert values["words"]["max_difference"] is None
    assert answer["same"] == 1
    assert checkpoint.diff(old, tmp_path / "other", tolerance=0.5)["same"] == 2


def test_diff_of_nan_and_infinity(tmp_path: Path) -> None:
    a = np.float32([np.nan, np.inf, 1, 2])
    first = saved(tmp_path / "a", {"x": a, "y": a})
    second = saved(tmp_path / "b", {"x": a, "y": np.float32([0, np.inf, 1, 3])})
    answer = checkpoint.diff(first, second)
    assert answer["same"] == 1
    (row,) = answer["other_values"]
    assert (row["max_difference"], row["different"]) == (None, 2)


def test_diff_with_a_map_and_an_npz(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    npz = {name.removeprefix("net/"): value for name, value in ARRAYS.items() if name != "words"}
    np.savez(tmp_path / "w.npz", **npz)
    with pytest.raises(SystemExit) as done:
        main(["diff", str(old), str(tmp_path / "w.npz"), '--map={^net/: ""}'])
    assert done.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"only in {old}: words (string [2])", "4 variables are the same"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["show"], "unknown action show; one of list, rename, diff"),
        (["list"], "name a checkpoint"),
        (["list", "nowhere"], "nowhere is no checkpoint; name a run directory"),
        (["list", "."], ". holds no checkpoint"),
        (["diff", "one"], "diff takes two checkpoints"),
        (["rename", "one", "--out=x"], "rename takes one checkpoint, a map and a new path"),
        (["list", "one", "--tolerance=1"], "--tolerance has no meaning for list"),
        (["diff", "a", "b", "--map={(: x}"], "not a regular expression"),
        (["diff", "a", "b", "--tolerance=-1"], "greater than or equal to 0"),
    ],
)
def test_errors_of_one_line(
    words: list[str],
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code in (1, 2)
    assert error in commands.assert_one_error_line(capsys.readouterr().err)


def test_damage_is_named(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = old.with_name(old.name + ".data-00000-of-00001")
    data.write_bytes(bytes(len(data.read_bytes())))
    with pytest.raises(SystemExit):
        main(["diff", str(old), str(old)])
    assert "is damaged" in commands.assert_one_error_line(capsys.readouterr().err)
