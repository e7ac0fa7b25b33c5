"""The standard hooks; test_log.py tests what they write."""

import re
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Hook, Train
from cnnlab.base.errors import CnnlabError
from cnnlab.run import standard_hooks
from cnnlab.run.disk import checkpoint, run_directory
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.hook import StepState
from cnnlab.run.hooks import SummaryHook
from tests import small_run

LINE = re.compile(
    r"step (\d+)/6: loss \d+\.\d{4}, accuracy \d\.\d{3}, learning rate 0\.0\d+, "
    r"(?P<rate>\d+) images/s, (?P<secs>\d\.[\de-]+) s/batch, \d+ s left"
)


def test_plain_lines_of_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with small_run.make(
        tmp_path / "save", small_run.linear, steps=6, summary_steps=2, eval_steps=3
    ) as train:
        train.train()
    err = capsys.readouterr().err.splitlines()
    progress = [match for line in err if (match := LINE.fullmatch(line))]
    assert [match[1] for match in progress] == ["2", "4", "6"]
    for match in progress:  # the batch size is 6
        rate, secs = float(match["rate"]), float(match["secs"])
        assert rate * secs == pytest.approx(6, abs=secs / 2 + 0.05)  # both are rounded
    assert sum(line.startswith("step 3: validation accuracy 0.") for line in err) == 1


@pytest.mark.parametrize(
    ("total_steps", "given", "expected"),
    [(1, "auto", 1), (60, "auto", 6), (999, "auto", 99), (5000, "auto", 100), (60, 100, 100)],
)
def test_a_short_run_has_ten_lines_by_default(total_steps: int, given: Any, expected: int) -> None:
    assert standard_hooks.summary_steps_of(given, total_steps) == expected


def test_a_bar_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with small_run.make(tmp_path / "save", small_run.linear, steps=6, summary_steps=2) as train:
        train.train()
    out, err = capsys.readouterr()
    assert out == ""
    assert "6/6" in err
    assert re.search(r"loss \d\.\d{4}, accuracy \d\.\d{3}, \d+ images/s", err)
    assert not LINE.search(err)


def test_evaluation_uses_the_first_eval_examples_images(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Spy(Train):
        def evaluate(self, split: Any = "test", limit: int | None = None, **more: Any) -> Any:
            result = super().evaluate(split, limit, **more)
            seen.append((self.step, split, limit, result["n"]))
            return result

    options = {
        **small_run.OPTIONS,
        "steps": 4,
        "eval_steps": 2,
        "eval_examples": 3,
        "device": "cpu",
    }
    with Spy(
        model=small_run.linear, data=small_run.arrays(), save_dir="save", log_dir="logs", **options
    ) as train:
        train.train()
    assert seen == [(2, "validation", 3, 3), (4, "validation", 3, 3), (4, "test", None, 7)]


@pytest.mark.slow
def test_each_evaluation_takes_the_next_images_in_turn(tmp_path: Path) -> None:
    found: list[tuple[int, list[int]]] = []
    taken: dict[str, Any] = {}

    class Note(Hook):
        def after_evaluation(self, run: Train, figures: dict[str, Any]) -> None:
            found.append((run.step, taken["labels"].tolist()))

    class Spy(Train):
        def evaluate(self, split: Any = "test", limit: Any = None, **more: Any) -> Any:
            taken["labels"] = self.data.chosen(split, limit, more.get("turn", 0)).labels
            return super().evaluate(split, limit, **more)

    options = {**small_run.OPTIONS, "eval_steps": 2, "eval_examples": 3, "eval_part": "next"}
    options |= {"save_dir": str(tmp_path / "save"), "device": "cpu"}
    for steps in (3, 7):  # the second call resumes
        with Spy(model=small_run.linear, data=small_run.arrays(), hooks=[Note()], **options) as run:
            run.train(steps=steps)
    numbers = np.arange(7) % 4  # the labels of the test images
    parts = {2: [0, 1, 2], 3: [3, 4, 5], 4: [3, 4, 5], 6: [6, 0, 1], 7: [2, 3, 4]}
    assert found == [(step, numbers[rows].tolist()) for step, rows in parts.items()]


def test_own_hooks_act_after_the_standard_ones(tmp_path: Path) -> None:
    found = []

    class Look(Hook):
        every_steps = 2

        def after_step(self, train: Train, state: Any) -> None:
            found.append((state.step, (tmp_path / f"save/model.ckpt-{state.step}.index").exists()))

    with small_run.make(
        tmp_path / "save", small_run.linear, hooks=[Look()], steps=4, checkpoint_steps=2
    ) as train:
        train.train()
    assert found == [(2, True), (4, True)]


@pytest.mark.slow
def test_a_stopped_run_is_saved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    write = Checkpoints.write
    monkeypatch.setattr(
        Checkpoints,
        "write",
        lambda self, saver, session, step, *values: (
            None if self.folder.name == "best" else saved.append(step),
            write(self, saver, session, step, *values),
        ),
    )

    class Stop(Hook):
        every_steps = 1

        def after_step(self, train: Train, state: Any) -> None:
            if state.step in (4, 5):
                train.stop("test")

    for expected in ([2, 4], [5], [6]):
        saved.clear()
        with small_run.make(
            tmp_path / "save", small_run.linear, hooks=[Stop()], steps=6, checkpoint_steps=2
        ) as train:
            train.evaluate = lambda *_, **__: {"accuracy": 0, "loss": 0, "n": 1}
            train.train()
        assert saved == expected


@pytest.mark.parametrize("is_large", [False, True])
def test_a_large_network_is_not_copied_in_memory(
    is_large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training thread writes a large network; another thread writes a small one."""
    writers: list[bool] = []
    write = Checkpoints.write

    def spy(self: Checkpoints, saver: Any, session: Any, step: int, values: Any = None) -> None:
        if self.folder.name != "best":
            writers.append(threading.current_thread() is threading.main_thread())
            assert bool(values) != is_large
        write(self, saver, session, step, values)

    monkeypatch.setattr(Checkpoints, "write", spy)
    if is_large:
        monkeypatch.setattr(run_directory, "_MAX_HELD_BYTES", 100)
    with small_run.make(tmp_path / "save", small_run.linear, steps=4, checkpoint_steps=2) as train:
        train.train()
    assert writers == [is_large, is_large]


def test_training_goes_on_while_a_checkpoint_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of step 4 is not on the disk before step 6 is made."""
    may_go_on, steps_before, sync = threading.Event(), [], checkpoint.sync
    after_step = SummaryHook.after_step

    def slow_sync(path: Path) -> None:
        assert may_go_on.wait(20)
        sync(path)

    def look(self: SummaryHook, train: Train, state: StepState) -> None:
        if state.step == 6:
            steps_before.extend(Checkpoints(tmp_path).steps())
            may_go_on.set()
        after_step(self, train, state)

    monkeypatch.setattr(checkpoint, "sync", slow_sync)
    monkeypatch.setattr(SummaryHook, "after_step", look)
    every = {"checkpoint_steps": 4, "summary_steps": 6, "eval_steps": 7}
    with small_run.make(tmp_path, small_run.linear, steps=7, **every) as train:
        train.train()
    assert may_go_on.is_set()
    assert steps_before == []
    assert Checkpoints(tmp_path).steps() == [4, 7]
    assert Checkpoints(tmp_path).latest_intact() == 7


def test_a_full_disk_ends_the_run_before_its_next_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_failed, steps = threading.Event(), []

    def fail_to_sync(_path: Path) -> None:
        has_failed.set()
        raise OSError(28, "No space left on device")

    def note(_self: SummaryHook, _train: Train, state: StepState) -> None:
        steps.append(state.step)
        if state.step > 50:
            has_failed.wait(10)
            time.sleep(0.001)  # gives the thread time to end

    monkeypatch.setattr(checkpoint, "sync", fail_to_sync)
    monkeypatch.setattr(SummaryHook, "after_step", note)
    every = {"checkpoint_steps": 50, "summary_steps": 1, "eval_steps": 100}
    make = small_run.make(tmp_path, small_run.linear, steps=100, **every)
    message = "No space left on device; none was kept before"
    with make as train, pytest.raises(CnnlabError, match=message):
        train.train()
    assert 50 <= steps[-1] < 99
