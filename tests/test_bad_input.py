"""Every bad input gives one line and its exit code, and leaves no file behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnnlab import train
from cnnlab.data import __main__ as data
from cnnlab.evaluate import __main__ as evaluate
from cnnlab.export import __main__ as export
from cnnlab.predict import __main__ as predict
from tests import commands, small_run

Main = Callable[[list[str]], None]


def fails(main: Main, words: list[str], capsys: pytest.CaptureFixture[str], code: int) -> str:
    """Return the message of a command that must fail. Check exit code and output too."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(words)
    out, err = capsys.readouterr()
    assert end.value.code == code, err
    assert out == ""
    return commands.assert_one_error_line(err)


SHAPES = ["--dataset=shapes", "--model=mnist_perceptron", "--device=cpu"]
USAGE: list[tuple[Main, list[str], str]] = [
    (train.main, ["--lerning_rate=1"], "unknown option --lerning_rate in the command line; did y"),
    (train.main, ["--dataset=shape"], "unknown dataset shape; did you mean shapes?"),
    (train.main, ["--dataset=zzz"], "unknown dataset zzz; known: cifar10, cifar100"),
    (train.main, ["--model=mnist_cn"], "unknown model mnist_cn; did you mean mnist_cnn?"),
    (
        train.main,
        ["--model=os:system"],
        "system cannot be called as model(images, num_",
    ),
    (train.main, ["--config=cifar_cn"], "unknown recipe cifar_cn; did you mean cifar_cnn?"),
    (train.main, ["--config=gone.yaml"], "no recipe file gone.yaml"),
    (train.main, ["--augment=[flop]"], "--augment: unknown augmentation flop; did you mean flip"),
    (train.main, ["--augment=[{pad_and_crop: {pixel: 2}}]"], "takes no pixel; it takes: pixels"),
    (train.main, ["--augment=[{pad_and_crop: {pixels: -2}}]"], "pixels"),
    (train.main, ["--augment=[{pad_and_crop: {pixels: x}}]"], "pixels"),
    (train.main, ["--augment=[{pad_and_crop: 4}]"], "pad_and_crop"),
    (train.main, ["--augment=[{[1]: 2}]"], "--augment"),
    (train.main, ["--model=mnist_cnn", "--model_options={drop: 1}"], "takes no drop; it takes: dr"),
    (train.main, ["--model=mnist_cnn", "--model_options={dropout: x}"], "dropout"),
    (train.main, ["--model=mnist_cnn", "--model_options={dropout: 1.5}"], "dropout"),
    (train.main, ["--batch_size=many"], "--batch_size=many is not valid: "),
    (train.main, ["--batch_size=0"], "--batch_size=0 is not valid: "),
    (train.main, ["--batch_size=-5"], "--batch_size=-5 is not valid: "),
    (train.main, ["--steps=0"], "--steps=0 is not valid: "),
    (train.main, ["--learning_rate=nan"], "--learning_rate=nan is not valid: "),
    (train.main, ["--epochs=inf"], "--epochs=inf is not valid: "),
    (train.main, ["--steps=1", "--epochs=1"], "--steps and --epochs both set the length"),
    (train.main, ["--batch_size=5001"], "--batch_size=5001 is more than the 5000 training images"),
    (train.main, ["--validation_split=0.5", "--batch_size=2501"], "than the 2500 training images"),
    (
        train.main,
        ["--dataset=shapes", "--label_mode=coarse"],
        "label_mode 'coarse' is for cifar100",
    ),
    (train.main, ["--save_dir=file"], "--save_dir=file: file is a file, not a folder"),
    (train.main, ["--log_dir=file/logs"], "--log_dir=file/logs: file is a file, not a folder"),
    (train.main, ["--save_dir="], "--save_dir= is not valid"),
    (train.main, ["--save_dir=a[1]"], "a[1]: TensorFlow cannot read checkpoints in a path with ["),
    (train.main, ["word"], "unexpected argument word"),
    (evaluate.main, ["--checkpont=best"], "unknown option --checkpont in the command line; did"),
    (export.main, ["--format=h5"], "--format=h5 is not valid: "),
    (export.main, ["--format=npz", "--precision=int8"], "--precision=int8 needs --format=tflite"),
    (train.main, ["--init_from=gone"], "--init_from=gone: there is no such run directory"),
    (train.main, ["--init_step=3"], "--init_step needs --init_from"),
    (evaluate.main, ["--split=dev"], "--split=dev is not valid: "),
    (evaluate.main, ["--batch_size=0"], "--batch_size=0 is not valid: "),
    (predict.main, [], "name at least one image file"),
    (predict.main, ["a.png", "--top=0"], "--top=0 is not valid: "),
    (predict.main, ["."], "no image file in the folder ."),
    (predict.main, ["file", "*.png"], "no file matches *.png"),
    (predict.main, ["a.png", "--json", "--format=csv"], "--json and --format=csv exclude each"),
    (evaluate.main, ["--images=x", "--dataset=mnist"], "--images and --dataset exclude each other"),
    (evaluate.main, ["--top_k=0"], "--top_k=0 is not valid: "),
    (data.main, [], "unknown action (none); one of list, fetch, verify"),
    (data.main, ["fecth", "mnist"], "unknown action fecth; did you mean fetch?"),
    (data.main, ["fetch"], "name one data set"),
    (data.main, ["fetch", "mnits"], "unknown dataset mnits; did you mean mnist?"),
    (data.main, ["verify", "mnist", "cifar10"], "name one data set"),
]


@pytest.mark.parametrize(("main", "words", "message"), USAGE)
def test_bad_usage(
    main: Main, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").write_text("x")
    defaults = [w for w in SHAPES if w.split("=")[0] not in {x.split("=")[0] for x in words}]
    given = [*defaults, *words] if main is train.main else words
    assert message in fails(main, given, capsys, 2)
    assert [path.name for path in Path().iterdir()] == ["file"]
    assert Path("file").read_text() == "x"


FAILURES: list[tuple[Main, list[str], str]] = [
    (evaluate.main, ["--save_dir=none"], "none holds no run (no config.yaml)"),
    (export.main, ["--save_dir=none"], "none holds no run (no config.yaml)"),
    (predict.main, ["a.png", "--save_dir=none"], "none holds no run (no config.yaml)"),
    (train.main, ["--device=gpu:7"], "--device=gpu:7 was asked for, but TensorFlow sees "),
    (data.main, ["verify", "mnist"], "no files of mnist in ./data; fetch them with"),
]


@pytest.mark.parametrize(("main", "words", "message"), FAILURES)
def test_failures(
    main: Main, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*SHAPES[:2], *words] if main is train.main else words
    assert message in fails(main, given, capsys, 1)
    assert list(Path().iterdir()) == []


@pytest.fixture
def run(trained: Any) -> Path:
    """The folder of the shared run. No test below changes it."""
    assert trained.code == 0, trained.stderr
    save_dir: Path = trained.folder / "save"
    return save_dir


def test_another_run_in_save_dir(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    words = [f"--save_dir={run}", "--seed=5", "--batch_size=40"]
    message = fails(train.main, words, capsys, 2)
    assert "holds another run: batch_size (50 there, 40 here), seed (1 there, 5 here)" in message
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.parametrize("main", [train.main, evaluate.main, predict.main, export.main])
@pytest.mark.parametrize("content", ["batch_size: [", "batch_size: many", ""])
def test_damaged_config(main: Main, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("save").mkdir()
    Path("save/config.yaml").write_text(content)
    words = ["a.png"] if main is predict.main else []
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(words)
    out, err = capsys.readouterr()
    assert end.value.code == 1  # the file is at fault, not the command line
    assert "save/config.yaml" in commands.assert_one_error_line(err)
    assert out == ""
    assert Path("save/config.yaml").read_text() == content


@pytest.mark.parametrize("content", [b'{"step": 4', b"\x80\x81", b""])
def test_damaged_result(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    Path("save").mkdir()
    Path("save/config.yaml").write_text("dataset: shapes\nmodel: mnist_perceptron\n")
    Path("save/result.json").write_bytes(content)
    message = fails(train.main, [], capsys, 1)
    assert message.startswith("save/result.json is damaged")
    assert Path("save/result.json").read_bytes() == content


@pytest.mark.parametrize("name", ["text.png", "empty.png", "cut.png", "gone.png"])
def test_files_that_are_no_images(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If no image can be read, TensorFlow is not needed."""
    Image.new("RGB", (32, 32)).save("whole.png")
    Path("text.png").write_text("no image")
    Path("empty.png").write_bytes(b"")
    Path("cut.png").write_bytes(Path("whole.png").read_bytes()[:60])
    message = fails(predict.main, [name, f"--save_dir={run}"], capsys, 1)
    assert message.startswith("1 of 1 files could not be read; the first: ")
    assert name in message


@pytest.mark.parametrize(
    ("checkpoint", "code", "message"),
    [
        ("7", 1, "has no checkpoint of step 7; it has: 20, 40"),
        ("newest", 2, "--checkpoint=newest is not latest, best or a step's number"),
        ("²", 2, "is not latest, best or a step's number"),
        ("-1", 2, "is not latest, best or a step's number"),
    ],
)
def test_no_such_checkpoint(
    checkpoint: str, code: int, message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--save_dir={run}", f"--checkpoint={checkpoint}"]
    assert message in fails(evaluate.main, words, capsys, code)


@pytest.mark.slow
def test_a_run_of_a_scripts_model(capsys: pytest.CaptureFixture[str]) -> None:
    with small_run.make("save", small_run.linear, steps=1) as made:
        made.train()
    for main, words in ((evaluate.main, []), (predict.main, ["a.png"]), (train.main, [])):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(words)  # type: ignore[operator]
        assert end.value.code in (1, 2)
        commands.assert_one_error_line(capsys.readouterr().err)
    assert json.loads(Path("save/result.json").read_text())["step"] == 1


@pytest.mark.slow
def test_a_loss_that_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    """With a learning rate of 1e30, two dense layers overflow at the second step."""
    words = ["--dataset=shapes", "--model=cifar_cnn", "--learning_rate=1e30", "--batch_size=4"]
    message = fails(train.main, [*words, "--steps=20", "--device=cpu"], capsys, 1)
    assert message.startswith(("the loss is nan at step 2;", "the loss is inf at step 2;"))
    assert "try a lower --learning_rate" in message
    assert not list(Path("save").glob("model.ckpt*"))
    assert not Path("save/result.json").exists()
