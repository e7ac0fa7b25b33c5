"""Checkpoints: complete or absent, checked, and never lost."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from cnnlab import Hook, Train, layers
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.data.specs import DATASETS
from cnnlab.evaluate import evaluate
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.config_file import load_config
from cnnlab.run.disk.saver import make_saver
from cnnlab.run.trained_model import TrainedModel
from tests import commands, small_run
from tests.safety.conftest import OPTIONS


def train_on(run_dir: Path, **options: Any) -> dict[str, Any]:
    with Train(save_dir=str(run_dir), log_dir=str(run_dir / "logs"), **options) as train:
        return train.train()


def flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "flipped byte of data": lambda run: flip_byte(run / "model.ckpt-30.data-00000-of-00001"),
    "flipped byte of index": lambda run: flip_byte(run / "model.ckpt-30.index"),
    "data truncated": lambda run: (run / "model.ckpt-30.data-00000-of-00001").write_bytes(b"x"),
    "data empty": lambda run: (run / "model.ckpt-30.data-00000-of-00001").write_bytes(b""),
    "data missing": lambda run: (run / "model.ckpt-30.data-00000-of-00001").unlink(),
    "index empty": lambda run: (run / "model.ckpt-30.index").write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.slow
def test_damage_is_reported_and_the_previous_checkpoint_is_used(
    run_dir: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGES[damage](run_dir)
    assert Checkpoints(run_dir).latest_intact() == 20
    assert "model.ckpt-30 is damaged" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_resumes_from_the_previous_checkpoint_and_sets_the_damaged_one_aside(
    run_dir: Path, finished_run: Path
) -> None:
    flip_byte(run_dir / "model.ckpt-30.data-00000-of-00001")
    (run_dir / "result.json").unlink()
    train_on(run_dir)
    assert (run_dir / "model.ckpt-30.index.damaged").exists()
    ours, theirs = (
        tf.train.load_checkpoint(str(run / "model.ckpt-30")) for run in (run_dir, finished_run)
    )
    for name in theirs.get_variable_to_shape_map():
        assert ours.get_tensor(name).tobytes() == theirs.get_tensor(name).tobytes()


@pytest.mark.slow
def test_a_damaged_newer_checkpoint_does_not_displace_a_good_one(run_dir: Path) -> None:
    """With max_to_keep=1, the damaged one must go, although it has the highest step."""
    flip_byte(run_dir / "model.ckpt-30.data-00000-of-00001")
    (run_dir / "result.json").unlink()

    class StopAt25(Hook):
        every_steps = 25

        def after_step(self, train: Train, state: Any) -> None:
            train.stop("enough")

    with Train(save_dir=str(run_dir), max_to_keep=1, hooks=[StopAt25()]) as train:
        train.train(log_dir=str(run_dir / "logs"))
    assert Checkpoints(run_dir).steps() == [25]
    assert tf.train.latest_checkpoint(str(run_dir)).endswith("model.ckpt-25")


def test_every_checkpoint_damaged_is_an_error(run_dir: Path) -> None:
    for path in run_dir.glob("*.data-*"):
        path.write_bytes(b"")
    with pytest.raises(CnnlabError, match=r"every checkpoint in .* is damaged"):
        Checkpoints(run_dir).latest_intact()


@pytest.mark.slow
def test_another_models_checkpoint_says_what_differs(run_dir: Path, tmp_path: Path) -> None:
    def narrow(images: Any, num_classes: int, *, training: bool) -> Any:
        flat = layers.flatten(images)
        return layers.dense(layers.dense(flat, 7, name="hidden"), num_classes, name="logits")

    other = tmp_path / "other"
    with Train(**OPTIONS | {"model": narrow}, save_dir=str(other), log_dir=str(other)) as train:
        train.train()
    for path in other.glob("model.ckpt-30.*"):
        shutil.copy(path, run_dir)
    (run_dir / "result.json").unlink()
    with pytest.raises(CnnlabError) as caught:
        train_on(run_dir)
    message = str(caught.value)
    assert "of another model" in message
    assert "this model lacks " in message
    assert "hidden/kernel" in message
    shown = {name for name in ("it lacks", " there, ") if name in message}
    assert shown  # a variable has another name, or another shape
    with pytest.raises(CnnlabError, match="of another model"):
        evaluate(str(run_dir))


def test_superfluous_variables_alone_are_reported(run_dir: Path) -> None:
    """A Saver would ignore them without an error."""
    graph = tf.Graph()
    with graph.as_default():
        tf.get_variable("known", [2])
        tf.get_variable("unknown", [2])
        saver = make_saver(graph)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            Checkpoints(run_dir / "more").save(saver, session, 1)
    graph = tf.Graph()
    with graph.as_default():
        tf.get_variable("known", [2])
        saver = make_saver(graph)
        with tf.Session() as session:
            checkpoints = Checkpoints(run_dir / "more")
            checkpoints.restore(saver, session, 1)
            with pytest.raises(CnnlabError, match="this model lacks unknown"):
                checkpoints.restore(saver, session, 1, exactly=True)


@pytest.mark.slow
def test_keep_every_keeps_its_multiples_besides_the_newest(run_dir: Path) -> None:
    train_on(run_dir, steps=60, keep_every=20, max_to_keep=1)
    assert Checkpoints(run_dir).steps() == [20, 40, 60]


@pytest.mark.parametrize("error", ["tensorflow", "system"])
@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint_and_one_line(
    run_dir: Path, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in run_dir.glob("model.ckpt-30.*")}
    no_space = "No space left on device"
    run = tf.Session.run

    def fail_to_save(session: Any, fetches: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(fetches, str) and fetches == "save/control_dependency:0":
            raise tf.errors.ResourceExhaustedError(None, None, f"x; {no_space}")
        return run(session, fetches, *args, **kwargs)

    def fail_to_sync(_path: Path) -> None:
        raise OSError(28, no_space)

    if error == "tensorflow":
        monkeypatch.setattr(tf.Session, "run", fail_to_save)
    else:
        monkeypatch.setattr("cnnlab.run.disk.checkpoint.sync", fail_to_sync)
    with pytest.raises(CnnlabError, match=r"cannot write .*No space left on device.* is kept"):
        train_on(run_dir, steps=60)
    assert {path.name: path.read_bytes() for path in run_dir.glob("model.ckpt-30.*")} == before
    assert not (run_dir / ".saving").exists()


@pytest.mark.slow
def test_best_of_a_killed_run_is_the_best_so_far(run_dir: Path) -> None:
    """If a kill comes between a best step and its checkpoint, that best step is dropped."""
    with Train(save_dir=str(run_dir), log_dir=str(run_dir / "logs")) as train:
        train.restore()
        best = Checkpoints(run_dir / "best")
        first = best.steps()
        best.save(train.saver, train.session, 35)
    with Train(save_dir=str(run_dir), log_dir=str(run_dir / "logs"), steps=31) as train:
        train.train()
    assert best.steps() in (first, [31])
    assert tf.train.latest_checkpoint(str(run_dir / "best")).endswith(f"-{best.steps()[-1]}")


@pytest.mark.slow
def test_a_best_step_of_a_run_killed_before_its_first_checkpoint_is_forgotten(
    tmp_path: Path,
) -> None:
    """A shorter run does not come to that step."""
    program = (
        "import os, signal\nfrom pathlib import Path\n"
        "from cnnlab import Hook\nfrom tests import small_run\n"
        "class Killer(Hook):\n"
        "    every_steps = 5\n"
        "    def after_step(self, train, state): os.kill(os.getpid(), signal.SIGKILL)\n"
        "options = {**small_run.BUSY, 'checkpoint_steps': 100}\n"
        "small_run.run(Path('run'), small_run.linear, hooks=[Killer()], **options)"
    )
    killed = commands.finish(commands.start_python("-c", program, cwd=tmp_path), tmp_path)
    assert killed.code == -signal.SIGKILL, killed.stderr
    run = tmp_path / "run"
    assert Checkpoints(run).steps() == []
    assert Checkpoints(run / "best").steps()[-1] in (2, 4)
    options = {**small_run.BUSY, "checkpoint_steps": 100, "steps": 1}
    with small_run.make(run, small_run.linear, **options) as train:
        result = train.train()
    assert result["best"]["step"] == 1
    assert Checkpoints(run / "best").steps() == [1]


@pytest.mark.slow
def test_an_overwrite_that_was_killed_leaves_no_best_step_for_the_next_run(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Checkpoints.remove_all

    def killed(self: Checkpoints) -> None:
        if self.folder == run_dir:
            raise KeyboardInterrupt
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "remove_all", killed)
        with pytest.raises(KeyboardInterrupt):
            train_on(run_dir, **OPTIONS, overwrite=True)
    assert Checkpoints(run_dir / "best").steps() == []
    with pytest.raises(UsageError, match=r"holds checkpoints but no config\.yaml"):
        train_on(run_dir, **OPTIONS)
    (run_dir / "best").mkdir(exist_ok=True)
    for path in run_dir.glob("model.ckpt-10.*"):
        path.rename(run_dir / "best" / path.name)
    for path in run_dir.glob("model.ckpt-*"):
        path.unlink()
    with pytest.raises(UsageError, match=r"holds checkpoints but no config\.yaml"):
        train_on(run_dir, **OPTIONS)


@pytest.mark.parametrize("method", ["damage", "restore", "signatures"])
def test_readers_look_again_if_a_training_run_deletes_their_checkpoint(
    run_dir: Path, method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = getattr(Checkpoints, method)

    def beside_a_training_run(self: Checkpoints, *args: Any, **options: Any) -> Any:
        found = original(self, *args, **options) if method == "signatures" else None
        if args[-1] == 30:
            self.remove(30)
        return found or original(self, *args, **options)

    monkeypatch.setattr(Checkpoints, method, beside_a_training_run)
    with TrainedModel(run_dir, load_config(run_dir), DATASETS["shapes"]) as trained:
        assert trained.step == 20
    assert capsys.readouterr().err == ""


def test_a_chosen_step_that_a_training_run_deletes_is_not_called_damaged(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Checkpoints.signatures

    def beside_a_training_run(self: Checkpoints, step: int) -> Any:
        found = original(self, step)
        self.remove(step)
        return found

    monkeypatch.setattr(Checkpoints, "signatures", beside_a_training_run)
    with pytest.raises(CnnlabError, match=r"ckpt-20 was deleted while it was read; a training"):
        TrainedModel(run_dir, load_config(run_dir), DATASETS["shapes"], "20")
