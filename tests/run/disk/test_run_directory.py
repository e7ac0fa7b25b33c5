"""The run directory: whether it can be used, and what it contains."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.machine import provenance, versions
from cnnlab.base.tf1 import tf
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.data.specs import DATASETS
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.config_file import config_text
from cnnlab.run.disk.run_directory import RunDirectory

SAVE = Path("save")
FACTS = "seed: 1\n"


def directory(**values: Any) -> RunDirectory:
    return RunDirectory(opts.build(Config, {"save_dir": "save", **values}))


def test_looking_changes_nothing() -> None:
    run = directory()
    assert run.result() is None
    assert run.finished_result(5) is None
    assert run.latest_step() == 0
    assert run.best_so_far(5) is None
    assert run.secs_so_far(5) == 0
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", ["save_dir", "log_dir"])
def test_a_file_is_no_folder(name: str) -> None:
    Path("file").write_text("x")
    for path in ("file", "file/below"):
        with pytest.raises(UsageError, match=f"--{name}={path}: file is a file, not a folder"):
            directory(**{name: path})
    assert Path("file").read_text() == "x"


@pytest.mark.parametrize("name", ["save_dir", "log_dir"])
def test_a_folder_that_cannot_be_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("locked").mkdir(mode=0o555)
    if os.geteuid() == 0:  # root can write everywhere
        monkeypatch.setattr(os, "access", lambda path, _mode: str(path) != "locked")
    for path in ("locked", "locked/below"):
        message = f"--{name}={path}: no permission to write in locked"
        with pytest.raises(UsageError, match=message):
            directory(**{name: path})
    assert list(Path("locked").iterdir()) == []


def test_begin_writes_options_and_versions() -> None:
    Path("a/b").mkdir(parents=True)
    config = opts.build(Config, {"seed": 5, "save_dir": "a/b"})
    facts = config_text(config, provenance(), DATASETS["shapes"], {}, {})
    RunDirectory(config).begin(0, 5, facts)
    document = yaml.safe_load(Path("a/b/config.yaml").read_text())
    assert document["seed"] == 5
    assert set(document["versions"]) == {*("python", "cnnlab", "tensorflow", "tf-keras", "numpy")}
    assert document["versions"] == versions()


FIGURES = {"loss": 0.5, "accuracy": 0.5, "learning_rate": 0.1, "images_per_sec": 9.0}
RESULT = {
    "step": 10,
    "finished": True,
    "accuracy": 0.5,
    "loss": 1.5,
    "top5_accuracy": 0.9,
    "n": 7,
    "seconds": 2.5,
    "best": {"step": 5, "accuracy": 0.6},
}


def line(step: int, split: str, **figures: Any) -> str:
    return json.dumps({"step": step, "split": split, **FIGURES, **figures}) + "\n"


def test_best_and_seconds_up_to_a_step() -> None:
    run = directory()
    run.path.mkdir(parents=True, exist_ok=True)
    run.begin(0, 5, FACTS)
    lines = [
        line(10, "train", accuracy=0.9, seconds=1.5),
        line(10, "val", accuracy=0.5),
        line(20, "train", accuracy=0.9, seconds=2.5),
        line(20, "val", accuracy=0.7),
        line(30, "val", accuracy=0.7),
        line(40, "val", accuracy=0.8),
    ]
    (SAVE / "metrics.jsonl").write_text("".join(lines) + '{"step": 50, "spl')
    assert run.best_so_far(9) is None
    assert run.best_so_far(10) == {"step": 10, "accuracy": 0.5}
    assert run.best_so_far(39) == {"step": 20, "accuracy": 0.7}  # the first of equal ones
    assert run.best_so_far(99) == {"step": 40, "accuracy": 0.8}
    assert (run.secs_so_far(9), run.secs_so_far(10), run.secs_so_far(99)) == (0, 1.5, 2.5)


def test_results() -> None:
    run = directory()
    run.path.mkdir(parents=True, exist_ok=True)
    run.begin(0, 5, FACTS)
    run.write_result(RESULT)
    assert directory().result() == RESULT
    assert directory().finished_result(10) == RESULT
    assert directory().finished_result(11) is None
    assert directory(overwrite=True).finished_result(10) is None
    run.write_result({**RESULT, "finished": False})
    assert directory().finished_result(10) is None


WRONG_NUMBERS = ["high", None, True, [1], 10**400, 1e308, float("nan"), -float("inf")]
DAMAGED_RESULTS = [
    *({**RESULT, "step": step} for step in (*WRONG_NUMBERS, -1, 2**63)),
    *({**RESULT, name: value} for name in ("accuracy", "seconds", "n") for value in WRONG_NUMBERS),
    *(
        {name: RESULT[name] for name in RESULT if name not in (left_out, "best")}
        for left_out in RESULT
    ),
    *({**RESULT, "finished": value} for value in ("yes", None, 1)),
    *({**RESULT, "best": best} for best in ({}, [], 5, {"step": 5}, {"step": 5, "accuracy": "x"})),
    *([], 5, None),
]
DAMAGED_LINES = [
    *({"step": step} for step in (*WRONG_NUMBERS, -1, 2**63)),
    *({"split": split} for split in ("test", None, 1, [])),
    *({name: value} for name in (*FIGURES, "seconds", "more") for value in WRONG_NUMBERS),
]


@pytest.mark.parametrize("content", [b"{", b"", b"\x80\x81", b'{"finished": true, "step'])
def test_a_damaged_result_is_named(content: bytes) -> None:
    run = directory()
    run.path.mkdir(parents=True, exist_ok=True)
    run.begin(0, 5, FACTS)
    (SAVE / "result.json").write_bytes(content)
    with pytest.raises(CnnlabError, match=r"save/result\.json is damaged.*delete it") as error:
        run.finished_result(10)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"{]\n", b"\x80\x81\n", b"[]\n", b'{"loss": 1}\n'])
def test_damaged_metrics_are_named(content: bytes) -> None:
    run = directory()
    run.path.mkdir(parents=True, exist_ok=True)
    run.begin(0, 5, FACTS)
    (SAVE / "metrics.jsonl").write_bytes(line(1, "val", accuracy=1).encode() + content)
    with pytest.raises(CnnlabError, match=r"save/metrics\.jsonl") as error:
        run.best_so_far(10)
    assert "\n" not in str(error.value)


def test_every_edit_of_a_result_is_named() -> None:
    SAVE.mkdir()
    for content in DAMAGED_RESULTS:
        if content == {name: RESULT[name] for name in RESULT if name != "best"}:
            continue  # an unfinished evaluation leaves no best
        text = json.dumps(content)
        (SAVE / "result.json").write_text(text)
        with pytest.raises(CnnlabError, match=r"save/result\.json is damaged .*delete it") as error:
            directory().result()
        assert "\n" not in str(error.value), text[:200]


def test_every_edit_of_a_line_of_metrics_is_named() -> None:
    SAVE.mkdir()
    whole = json.loads(line(1, "val"))
    lines = [*({**whole, **change} for change in DAMAGED_LINES), [], 5, None]
    lines += [{name: whole[name] for name in whole if name != left_out} for left_out in whole]
    for content in lines:
        (SAVE / "metrics.jsonl").write_text(line(1, "val") + json.dumps(content) + "\n")
        with pytest.raises(CnnlabError, match=r"save/metrics\.jsonl: line 2 is damaged") as error:
            directory().best_so_far(10)
        assert "\n" not in str(error.value), str(content)[:200]
    for text in ("x" * 200_000, "[" * 90_000):
        (SAVE / "metrics.jsonl").write_text(f"{text}\n")
        with pytest.raises(CnnlabError, match=r"save/metrics\.jsonl: line 1 is damaged"):
            directory().secs_so_far(10)


def fill(folder: Path) -> None:
    """Write the files of a run, and a file that does not belong to it."""
    names = ("model.ckpt-5.index", "model.ckpt-5.data-00000-of-00001", "checkpoint")
    for name in (*names, "best/checkpoint", "best/model.ckpt-3.index", "metrics.jsonl", "mine.txt"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("")


def test_checkpoints_of_an_unknown_run_are_not_touched() -> None:
    fill(SAVE)
    with pytest.raises(UsageError, match=r"save holds checkpoints but no config\.yaml"):
        directory()
    directory(overwrite=True)
    assert (SAVE / "model.ckpt-5.index").exists()


def test_what_a_kill_left_is_deleted() -> None:
    """Data whose index was deleted, data that has no index yet, and an unfinished checkpoint."""
    data = "data-00000-of-00001"
    kept = {"model.ckpt-5.index", f"model.ckpt-5.{data}", f"model.ckpt-7.{data}.damaged", "mine"}
    kept |= {f"model.ckpt-8.{data}.mine", "checkpoint"}
    left = {f"model.ckpt-{step}.{data}" for step in (4, 6, 15)} | {".saving/model.ckpt-6.index"}
    for folder in (SAVE, SAVE / "best"):
        for name in kept | left:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("")
    (SAVE / "config.yaml").write_text("")
    directory(eval_steps=5).begin(5, 9, FACTS)
    found = {path.name for path in SAVE.iterdir()}
    assert found == {*kept, "best", "config.yaml"}
    assert {path.name for path in (SAVE / "best").iterdir()} == kept


def test_overwriting_clears_the_run_and_nothing_else() -> None:
    fill(SAVE)
    (SAVE / "result.json").write_text("{}")
    run = directory(overwrite=True, seed=9)
    assert run.latest_step() == 0
    run.path.mkdir(parents=True, exist_ok=True)
    run.begin(0, 5, "seed: 9\n")
    assert sorted(path.name for path in SAVE.iterdir()) == ["config.yaml", "mine.txt"]
    assert yaml.safe_load((SAVE / "config.yaml").read_text())["seed"] == 9


def test_overwriting_keeps_what_is_not_of_a_run() -> None:
    """A folder best with files of the user's, and a link to a folder elsewhere."""
    fill(SAVE)
    (SAVE / "best/photo.png").write_text("mine")
    (SAVE / "best/album").mkdir()
    directory(overwrite=True).begin(0, 5, FACTS)
    assert sorted(path.name for path in (SAVE / "best").iterdir()) == ["album", "photo.png"]
    fill(Path("elsewhere"))
    Path("linked").mkdir()
    Path("linked/best").symlink_to("../elsewhere")
    directory(overwrite=True, save_dir="linked").begin(0, 5, FACTS)
    assert not Path("linked/best").is_symlink()
    assert Path("elsewhere/model.ckpt-5.index").exists()


def test_one_checkpoint_for_each_period_of_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kept ones are those of tf.train.Saver, also if each is saved by a resumed run."""
    minutes = [20, 40, 70, 71, 110, 130, 135, 200, 320, 330, 340]  # of training, at each checkpoint
    now = 0.0
    monkeypatch.setattr(time, "time", lambda: now)
    with tf.Graph().as_default():
        variable = tf.get_variable("w", [], use_resource=True)
        saver = tf.train.Saver([variable], max_to_keep=2, keep_checkpoint_every_n_hours=1)
    for step, minute in enumerate(minutes, start=1):
        now = 60.0 * minute
        for folder in (SAVE, Path("theirs")):
            folder.mkdir(exist_ok=True)
            (folder / f"model.ckpt-{step}.index").touch()
        with (SAVE / "metrics.jsonl").open("a") as file:
            file.write(line(step, "train", seconds=now))
        run = directory(max_to_keep=2, keep_checkpoint_every_n_hours=1, overwrite=True)
        run.checkpoints._drop_oldest(run._kept_by_time())
        saver._RecordLastCheckpoint(f"theirs/model.ckpt-{step}")
        saver._MaybeDeleteOldCheckpoints()
        theirs = Checkpoints(Path("theirs")).steps()
        assert run.checkpoints.steps() == theirs, step
    assert theirs == [3, 6, 8, 9, 10, 11]


def test_hours_count_from_the_start_of_a_run_that_got_the_option_later() -> None:
    """Ten hours without the option, and a checkpoint that was deleted by hand, change nothing."""
    SAVE.mkdir()
    minutes = range(600, 800, 10)
    lines = [line(minute, "train", seconds=60.0 * minute) for minute in minutes]
    (SAVE / "metrics.jsonl").write_text("".join(lines))
    for minute in minutes:
        (SAVE / f"model.ckpt-{minute}.index").touch()
    run = directory(max_to_keep=2, keep_every_hours=1, overwrite=True)
    assert run._kept_by_time() == {600, 660, 720, 780}
    (SAVE / "model.ckpt-660.index").unlink()
    assert run._kept_by_time() == {600, 670, 720, 780}
