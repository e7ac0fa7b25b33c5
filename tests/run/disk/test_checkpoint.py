"""Checkpoints: complete or absent, the newest undamaged one, TensorFlow's format."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.run.disk import checkpoint
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.saver import make_saver, saved_tensors


class Variables:
    """A session with one vector, and its saver."""

    def __init__(self, size: int = 3, name: str = "w") -> None:
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.vector = tf.get_variable(name, initializer=tf.zeros([size]), use_resource=True)
            self.value_ph = tf.placeholder(tf.float32, [size])
            self.assign = tf.assign(self.vector, self.value_ph)
            self.add = tf.raw_ops.ResourceApplyGradientDescent(
                var=self.vector.handle, alpha=1.0, delta=-tf.ones([size])
            )
            init = tf.global_variables_initializer()
            self.saver = make_saver(self.graph)
        self.session = tf.Session(graph=self.graph)
        self.session.run(init)
        self.size = size

    def set(self, value: float) -> None:
        self.session.run(self.assign, {self.value_ph: np.full(self.size, value, np.float32)})

    def get(self) -> list[float]:
        return [float(value) for value in self.session.run(self.vector)]


@pytest.fixture(scope="module")
def variables() -> Iterator[Variables]:
    made = Variables()
    yield made
    made.session.close()


def saved(variables: Variables, folder: Path, *steps: int, keep: int | None = None) -> Checkpoints:
    """Save a checkpoint of each step, in which each value is the step."""
    checkpoints = Checkpoints(folder, keep)
    for step in steps:
        variables.set(step)
        checkpoints.save(variables.saver, variables.session, step)
    return checkpoints


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_saved_values_are_restored(variables: Variables, tmp_path: Path) -> None:
    checkpoints = saved(variables, tmp_path / "a/b", 5, 20, 100)
    assert checkpoints.steps() == [5, 20, 100]
    assert checkpoints.latest_intact() == 100
    for step in (5, 100, 20):
        checkpoints.restore(variables.saver, variables.session, step)
        assert variables.get() == [step] * 3


def test_tensorflow_reads_them(variables: Variables, tmp_path: Path) -> None:
    saved(variables, tmp_path, 5, 20)
    latest = tf.train.latest_checkpoint(str(tmp_path))
    assert latest == str(tmp_path / "model.ckpt-20")
    assert tf.train.load_checkpoint(latest).get_tensor("w").tolist() == [20.0] * 3
    tmp_path.rename(tmp_path.with_name("moved"))
    moved = tmp_path.with_name("moved")
    assert tf.train.latest_checkpoint(str(moved)) == str(moved / "model.ckpt-20")


def test_only_the_newest_are_kept(variables: Variables, tmp_path: Path) -> None:
    checkpoints = saved(variables, tmp_path, 9, 10, 11, 100, keep=2)
    assert checkpoints.steps() == [11, 100]
    assert names(tmp_path) == [
        "checkpoint",
        *("model.ckpt-100.data-00000-of-00001", "model.ckpt-100.index"),
        *("model.ckpt-11.data-00000-of-00001", "model.ckpt-11.index"),
    ]
    assert saved(variables, tmp_path, 101, 102, keep=None).steps() == [11, 100, 101, 102]


def test_a_save_of_the_same_step_replaces_it(variables: Variables, tmp_path: Path) -> None:
    checkpoints = saved(variables, tmp_path, 5)
    variables.set(7)
    checkpoints.save(variables.saver, variables.session, 5)
    variables.set(0)
    checkpoints.restore(variables.saver, variables.session, 5)
    assert variables.get() == [7] * 3


def test_held_values_are_written_even_if_the_variables_change(
    variables: Variables, tmp_path: Path
) -> None:
    checkpoints = saved(variables, tmp_path, 5)
    tensors = saved_tensors(variables.saver, variables.graph)
    held = dict(zip(tensors, variables.session.run(tensors), strict=True))
    variables.session.run(variables.add)  # in place, if nothing else holds the value
    assert variables.get() == [6] * 3
    checkpoints.write(variables.saver, variables.session, 8, held)
    checkpoints.commit(8)
    checkpoints.restore(variables.saver, variables.session, 8)
    assert variables.get() == [5] * 3
    direct, indirect = (
        [path.read_bytes() for path in sorted(tmp_path.glob(f"model.ckpt-{step}.*"))]
        for step in (5, 8)
    )
    assert direct == indirect


@pytest.mark.parametrize("moment", ["saving", "first file", "second file", "pointer"])
def test_an_interrupted_save_keeps_the_earlier_checkpoints(
    moment: str, variables: Variables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill at any moment, the new checkpoint is complete or absent."""
    checkpoints = saved(variables, tmp_path, 5)

    class Cut(BaseException):
        pass

    def cut(*_: Any, **__: Any) -> Any:
        raise Cut

    if moment == "saving":
        monkeypatch.setattr(checkpoint, "sync", cut)
    else:
        replace, left = Path.replace, [["first file", "second file", "pointer"].index(moment)]

        def counted(self: Path, target: Path) -> Path:
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", counted)
    variables.set(6)
    with pytest.raises(Cut):
        checkpoints.save(variables.saver, variables.session, 6)
    monkeypatch.undo()

    latest = 6 if moment == "pointer" else 5
    assert checkpoints.steps() == sorted({5, latest})  # a partial checkpoint is not listed
    assert checkpoints.latest_intact() == latest
    checkpoints.restore(variables.saver, variables.session, latest)
    assert variables.get() == [latest] * 3
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-5")
    saved(variables, tmp_path, 6, 7, keep=1)  # as the resumed run does
    assert names(tmp_path) == [
        *("checkpoint", "model.ckpt-7.data-00000-of-00001", "model.ckpt-7.index")
    ]


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "a bit":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "truncated":
        path.write_bytes(data[:-1])
    elif how == "emptied":
        path.write_bytes(b"")
    else:
        path.unlink()


@pytest.mark.parametrize("file", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("how", ["a bit", "truncated", "emptied", "deleted"])
def test_a_damaged_checkpoint_is_skipped(
    file: str, how: str, variables: Variables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = saved(variables, tmp_path, 5, 6)
    damage(tmp_path / f"model.ckpt-6.{file}", how)
    assert checkpoints.latest_intact() == 5
    if (file, how) != ("index", "deleted"):
        expected = f"warning: checkpoint {tmp_path}/model.ckpt-6 is damaged ("
        assert capsys.readouterr().err.startswith(expected)
        with pytest.raises(CnnlabError, match=r"model\.ckpt-6 (does not load|is damaged)") as error:
            checkpoints.restore(variables.saver, variables.session, 6)
        assert "\n" not in str(error.value)


def test_all_are_damaged(variables: Variables, tmp_path: Path) -> None:
    checkpoints = saved(variables, tmp_path, 5, 6)
    for step in (5, 6):
        damage(tmp_path / f"model.ckpt-{step}.data-00000-of-00001", "truncated")
    with pytest.raises(CnnlabError, match=f"^every checkpoint in {tmp_path} is damaged$"):
        checkpoints.latest_intact()


def test_none_yet(variables: Variables, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "nowhere", 5)
    assert checkpoints.steps() == []
    assert checkpoints.latest_intact() is None
    with pytest.raises(CnnlabError, match="nowhere has no checkpoint of step 3; it has: none"):
        checkpoints.restore(variables.saver, variables.session, 3)
    saved(variables, tmp_path, 5, 20)
    with pytest.raises(CnnlabError, match="has no checkpoint of step 3; it has: 5, 20"):
        Checkpoints(tmp_path, 5).restore(variables.saver, variables.session, 3)


@pytest.mark.parametrize(
    ("size", "name", "problem"),
    [
        (4, "w", r"w is float32 \[3\] there, float32 \[4\] here"),
        (3, "v", "it lacks v; this model lacks w"),
    ],
)
def test_a_checkpoint_of_another_model(
    size: int, name: str, problem: str, variables: Variables, tmp_path: Path
) -> None:
    checkpoints = saved(variables, tmp_path, 5)
    other = Variables(size, name)
    with other.session, pytest.raises(CnnlabError, match=problem):
        checkpoints.restore(other.saver, other.session, 5)


def test_remove_all_removes_only_checkpoints(variables: Variables, tmp_path: Path) -> None:
    checkpoints = saved(variables, tmp_path, 5, 6)
    (tmp_path / "model.ckpt-notes.txt").write_text("mine")
    (tmp_path / "model.ckpt-7x.index").write_text("mine")
    checkpoints.remove_all()
    assert names(tmp_path) == ["model.ckpt-7x.index", "model.ckpt-notes.txt"]
