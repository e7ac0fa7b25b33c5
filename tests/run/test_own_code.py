"""A model of one's own in every command: kept with the run, loaded from it, trusted or not."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from cnnlab import Train, register_model
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.evaluate import evaluate
from cnnlab.export import export
from cnnlab.models import REGISTERED
from cnnlab.predict import predict
from cnnlab.report import report
from cnnlab.run.disk.config_file import resolve_for_run
from tests import small_run

NET = (
    "from cnnlab import layers\nfrom width import WIDTH\n\n"
    "def net(images, num_classes, *, training, extra=0):\n"
    "    x = layers.dense(layers.flatten(images), WIDTH + extra, activation='relu')\n"
    "    return layers.dense(x, num_classes)\n"
)
OPTIONS = {"dataset": "shapes", "batch_size": 20, "steps": 2}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the model's files and a key of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "width.py").write_text("WIDTH = 5\n")
    return tmp_path


@pytest.fixture
def elsewhere(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of the model; the current folder is another one."""
    with Train(model="net.py:net", save_dir="run", **OPTIONS) as train:
        train.train()
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    return here / "run"


def predict_one(run: Path, **options: Any) -> list[dict[str, Any]]:
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save("one.png")
    return predict(["one.png"], run, **options)


def resume(run: Path, **options: Any) -> Any:
    with Train(**{**OPTIONS, "steps": 3, "save_dir": str(run), **options}) as train:
        return train.train()


COMMANDS: dict[str, Callable[..., Any]] = {
    "evaluate": evaluate,
    "predict": predict_one,
    "report": report,
    "export": export,
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.slow
def test_every_command_finds_the_model(command: str, elsewhere: Path) -> None:
    assert COMMANDS[command](elsewhere)


@pytest.mark.slow
def test_a_run_goes_on_from_another_folder(elsewhere: Path) -> None:
    config = resolve_for_run({"save_dir": str(elsewhere), "steps": 3})
    assert resume(elsewhere, model=config.model)["step"] == 3
    kept = yaml.safe_load((elsewhere / "config.yaml").read_text())["code"]["model"]
    assert kept["folder"] == str(elsewhere.parent)  # not that of the copies


@pytest.mark.slow
def test_a_file_that_has_changed(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = evaluate(elsewhere)["loss"]
    assert "changed" not in capsys.readouterr().err
    (elsewhere.parent / "width.py").write_text("WIDTH = 6\n")
    assert evaluate(elsewhere)["loss"] == before
    assert "/width.py has changed since this run began; the copy in" in capsys.readouterr().err
    with pytest.raises(UsageError, match="other model code"):  # the imported file counts
        resume(elsewhere, model=f"{elsewhere.parent}/net.py:net")
    (elsewhere.parent / "width.py").unlink()
    assert evaluate(elsewhere)["loss"] == before
    assert "/width.py is gone since this run began" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_from_elsewhere_needs_trust(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(elsewhere.parent / "another"))
    for command in COMMANDS.values():
        with pytest.raises(UsageError, match=r"brings code .* --trust"):
            command(elsewhere)
        assert command(elsewhere, trust=True)
    with pytest.raises(UsageError, match="brings code"):
        resolve_for_run({"save_dir": str(elsewhere)})
    # The user's own file is the user's to run.
    assert evaluate(elsewhere, model=f"{elsewhere.parent}/net.py:net")["n"]


def test_code_that_was_edited_in_the_run(elsewhere: Path) -> None:
    (elsewhere / "code/model/width.py").write_text("WIDTH = 5  # and something else\n")
    with pytest.raises(CnnlabError, match=r"code/model/width.py is damaged or was edited"):
        evaluate(elsewhere)
    config = elsewhere / "config.yaml"
    facts = yaml.safe_load(config.read_text())
    facts["code"]["model"]["source"] = "os:system"
    config.write_text(yaml.safe_dump(facts))
    with pytest.raises(UsageError, match="brings code that was not written by you"):
        evaluate(elsewhere)


@pytest.mark.slow
def test_an_option_of_the_run_cannot_name_other_code(elsewhere: Path) -> None:
    config = elsewhere / "config.yaml"
    config.write_text(config.read_text().replace("model: net.py:net", "model: os:system", 1))
    for command in (evaluate, lambda run: resolve_for_run({"save_dir": str(run)})):
        with pytest.raises(CnnlabError, match=r"does not have the code of its model os:system"):
            command(elsewhere)


@pytest.mark.slow
def test_another_model_is_named(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(elsewhere.parent / "width.py", "width.py")
    Path("net.py").write_text(NET.replace("relu", "tanh"))
    evaluate(elsewhere, model="net.py:net")
    assert "net.py:net is not the model that trained this run" in capsys.readouterr().err


def test_options_of_the_model_are_checked(here: Path) -> None:
    with pytest.raises(UsageError, match="the model takes no depth; it takes: extra"):
        Train(model="net.py:net", model_options={"depth": 1}, **OPTIONS)
    with pytest.raises(UsageError, match=r"cannot be called as model\(images"):
        Train(model="os:getcwd", **OPTIONS)


@pytest.mark.slow
def test_a_program_that_trains_when_it_runs(here: Path) -> None:
    (here / "program.py").write_text(
        f"from cnnlab import Train\n{NET}\n"
        f"with Train(model=net, save_dir='run', **{OPTIONS}) as train:\n    train.train()\n"
        "print('TRAINED')\n"
    )
    done = subprocess.run(
        [sys.executable, "program.py"], capture_output=True, text=True, check=True
    )
    assert "TRAINED" in done.stdout
    assert evaluate(here / "run")["n"]


@pytest.mark.slow
def test_a_function_that_python_made(here: Path) -> None:
    def inner(images: Any, num_classes: int, *, training: bool) -> Any:
        return small_run.linear(images, num_classes, training=training)

    with Train(model=inner, save_dir="run", **OPTIONS) as train:
        train.train()
    for command in COMMANDS.values():
        with pytest.raises(UsageError, match=r"inner cannot be loaded from a file.*pass it in Py"):
            command(here / "run")
        assert command(here / "run", model=inner)


@pytest.mark.slow
def test_a_registered_model(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlab.models.REGISTERED", REGISTERED)
    register_model("tiny", small_run.linear)
    try:
        with Train(model="tiny", save_dir="run", **OPTIONS) as train:
            train.train()
        with_name = evaluate(here / "run")["loss"]
    finally:
        REGISTERED.clear()
    assert evaluate(here / "run")["loss"] == with_name  # as another process would
    with pytest.raises(UsageError, match="resnet20 is a model of cnnlab"):
        register_model("resnet20", small_run.linear)
