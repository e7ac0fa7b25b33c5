"""Train: the files that a run writes, and how it is resumed."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cnnlab import Hook, Train
from cnnlab import train as train_module
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.train import describe_result
from tests import small_run

SMALL = {"steps": 6, "checkpoint_steps": 2, "max_to_keep": 2, "eval_steps": 3}


@pytest.mark.slow
def test_it_learns(tmp_path: Path) -> None:
    """The network learns to tell four brightnesses of noise apart, on unseen images."""
    splits = []
    for (images, labels), n in zip(small_run.arrays(200, 40), (200, 40), strict=True):
        assert len(labels) == n
        splits.append(((images // 8 + 60 * labels[:, None, None, None]).astype(np.uint8), labels))
    options = {"steps": 60, "batch_size": 20, "augment": [], "decay_steps": 1000}
    with small_run.make(tmp_path / "save", data=splits, **options) as train:
        _ = train.session
        assert train.evaluate()["accuracy"] < 0.6
        assert train.train()["accuracy"] > 0.9


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_the_files_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_dir = tmp_path / "save"
    with small_run.make(save_dir, **SMALL) as train:
        result = train.train()
        evaluated = train.evaluate("test")
    assert json.loads((save_dir / "result.json").read_text()) == result
    assert {name: result[name] for name in evaluated} == evaluated
    assert (result["step"], result["finished"], result["split"], result["n"]) == (
        6,
        True,
        "test",
        7,
    )
    assert result["seconds"] > 0
    found = [*names(save_dir)]
    assert found == [
        *("best", "checkpoint", "code", "config.yaml", "metrics.jsonl"),
        *("model.ckpt-4.data-00000-of-00001", "model.ckpt-4.index"),
        *("model.ckpt-6.data-00000-of-00001", "model.ckpt-6.index", "result.json"),
    ]
    assert names(tmp_path) == ["save", "save-logs"]
    row, *curves = names(tmp_path / "save-logs")
    assert row.endswith(".hparams")
    assert curves == ["train", "val"]
    document = yaml.safe_load((save_dir / "config.yaml").read_text())
    assert (document["batch_size"], document["model"]) == (6, "tests.small_run:network")
    out, err = capsys.readouterr()
    assert out == ""
    assert "tests.small_run:network on arrays: 380 parameters, graph 0." in err
    assert "CPU" in err.splitlines()[0]
    assert "oneDNN" in err.splitlines()[0]


@pytest.mark.slow
def test_the_best_weights_are_kept_and_the_last_are_reported(tmp_path: Path) -> None:
    save_dir = tmp_path / "save"
    with small_run.make(save_dir, **{**SMALL, "eval_steps": 1, "learning_rate": 0.1}) as train:
        result = train.train()
        last = train.evaluate()
        values = [
            (line["step"], line["accuracy"])
            for line in map(json.loads, (save_dir / "metrics.jsonl").read_text().splitlines())
            if line["split"] == "val"
        ]
        best_step, best_accuracy = max(values, key=lambda pair: (pair[1], -pair[0]))
        assert result["best"] == {"step": best_step, "accuracy": best_accuracy}
        assert result["accuracy"] == last["accuracy"] == values[-1][1]
        (index,) = (save_dir / "best").glob("*.index")
        assert index.name == f"model.ckpt-{best_step}.index"
        train.saver.restore(train.session, str(index.with_suffix("")))
        assert train.evaluate()["accuracy"] == best_accuracy
    assert len(values) == 6


@pytest.mark.slow
def test_a_finished_run_is_reported_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_dir = tmp_path / "save"
    with small_run.make(save_dir, small_run.linear, **SMALL) as train:
        result = train.train()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    capsys.readouterr()
    with small_run.make(save_dir, small_run.linear, **SMALL) as train:
        assert train.train() == result
        assert train.train(steps=5) == result
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert f"{save_dir} is finished, at step 6; --steps=N trains on" in capsys.readouterr().err


@pytest.mark.slow
def test_more_epochs_resume_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with small_run.make(
        tmp_path / "save", small_run.linear, **{**SMALL, "steps": None, "epochs": 1}
    ) as t:
        assert t.train()["step"] == 4  # 20 images in batches of 6
    with small_run.make(
        tmp_path / "save", small_run.linear, **{**SMALL, "steps": None, "epochs": 2}
    ) as t:
        assert t.train()["step"] == 7
    assert f"resuming from step 4 of {tmp_path / 'save'}" in capsys.readouterr().err
    with small_run.make(tmp_path / "save", small_run.linear, **{**SMALL, "steps": 8}) as t:
        assert t.train()["step"] == 8


@pytest.mark.slow
def test_a_resumed_run_may_report_more_often(tmp_path: Path) -> None:
    straight, folder = tmp_path / "straight", tmp_path / "save"
    with small_run.make(straight, small_run.linear, **SMALL) as train:
        train.train()
        expected = small_run.variables(train)
    with small_run.make(folder, small_run.linear, **{**SMALL, "steps": 4}) as train:
        train.train()
    often = {**SMALL, "eval_steps": 1, "summary_steps": 1}
    with small_run.make(folder, small_run.linear, **often) as train:
        assert train.train()["finished"]
        small_run.assert_same_bits(small_run.variables(train), expected)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["split"] == "val"] == [3, 4, 5, 6]
    assert [line["step"] for line in lines if line["split"] == "train"][-2:] == [5, 6]


def test_another_run_is_refused_and_not_changed(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, **SMALL) as train:
        train.train()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with (
        small_run.make(tmp_path / "save", small_run.linear, **{**SMALL, "seed": 2}) as train,
        pytest.raises(UsageError, match=r"holds another run: seed \(1 there, 2 here\)"),
    ):
        train.train()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.slow
def test_overwrite_starts_again(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, **{**SMALL, "steps": 20}) as train:
        train.train()
    with small_run.make(
        tmp_path / "save", small_run.linear, seed=2, overwrite=True, **SMALL
    ) as train:
        assert train.train()["step"] == 6
        found = small_run.variables(train)
    assert (tmp_path / "save/model.ckpt-6.index").exists()
    assert not (tmp_path / "save/model.ckpt-20.index").exists()
    with small_run.make(tmp_path / "other", small_run.linear, seed=2, **SMALL) as train:
        train.train()
        small_run.assert_same_bits(found, small_run.variables(train))


def test_one_object_trains_on_after_overwriting(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "save", small_run.linear, overwrite=True, **SMALL) as train:
        train.train()
        train.train(steps=8)
    lines = (tmp_path / "save/metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 8


@pytest.mark.slow
def test_one_object_trains_in_two_folders(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "a", log_dir=None, **SMALL) as train:
        first = train.train()
        first_variables = small_run.variables(train)
        second = train.train(str(tmp_path / "b"))
        small_run.assert_same_bits(small_run.variables(train), first_variables)
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


class SignalAt(Hook):
    """Sends this process a signal after step 3."""

    every_steps = 3

    def __init__(self, number: int) -> None:
        self.number = number

    def after_step(self, train: Train, state: Any) -> None:
        if state.step == 3:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_end_the_command(
    number: signal.Signals,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The command runs in this process, on small arrays."""

    def small(**options: Any) -> Train:
        return Train(**options, data=small_run.arrays(), hooks=[SignalAt(number)])

    monkeypatch.setattr(train_module, "Train", small)
    words = ["--model=mnist_perceptron", "--batch_size=6", "--steps=9", "--device=cpu"]
    with pytest.raises(SystemExit) as end:
        train_module.main([*words, "--save_dir=save", "--log_dir=logs", "--json"])
    assert end.value.code == code
    result = json.loads(Path("save/result.json").read_text())
    assert (result["step"], result["finished"]) == (3, False)
    assert "accuracy" not in result
    assert Path("save/model.ckpt-3.index").exists()
    out, err = capfd.readouterr()
    assert json.loads(out) == result
    assert f"stopping: {number.name}; saving (once more to leave at once)" in err
    assert "Traceback" not in err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_report_for_people() -> None:
    config = small_run.make("save").config
    figures = {"step": 5, "finished": True, "accuracy": 0.5, "loss": 1, "n": 7, "seconds": 3.4}
    text = describe_result(figures, config)
    assert text.startswith("step 5: test accuracy 0.5000, loss 1.0000 on 7 images, 3 s;")
    assert "tensorboard --logdir=save-logs" in text
    stopped = describe_result({"step": 5, "finished": False}, config)
    assert stopped == "stopped at step 5, saved; the same command resumes the run"


@pytest.mark.slow
def test_a_changed_model_function_is_refused(tmp_path: Path) -> None:
    """The function has the same name but other shapes, so the checkpoint does not fit."""
    sizes = [5]

    def network(images: Any, num_classes: int, *, training: bool) -> Any:
        del training
        x = small_run.layers.dense(small_run.layers.flatten(images), sizes[0], name="dense1")
        return small_run.layers.dense(x, num_classes, name="logits")

    with small_run.make(tmp_path / "save", network, **SMALL) as train:
        train.train()
    sizes[0] = 6
    with (
        small_run.make(tmp_path / "save", network, **{**SMALL, "steps": 8}) as train,
        pytest.raises(
            CnnlabError,
            match=r"another model: dense1/kernel is float32 \[192, 5\] there, .* \[192, 6",
        ),
    ):
        train.train()
    assert (tmp_path / "save/model.ckpt-6.index").exists()
