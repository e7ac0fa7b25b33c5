"""What the report refuses, the command, and the report of a convolutional network."""

import inspect
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnnlab import Train
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.files import write_atomically
from cnnlab.config.options import Options, fields_of
from cnnlab.evaluate import evaluate
from cnnlab.report import ReportOptions, report
from cnnlab.report.__main__ import main
from tests import commands, small_run
from tests.report.parsed_page import Page


@pytest.mark.slow
def test_other_files_are_left_alone(trained: Any, tmp_path: Path) -> None:
    save_dir = trained.folder / "save"
    (tmp_path / "report.html").write_text("<html>my own page</html>")
    with pytest.raises(UsageError, match="exists and was not written by cnnlab"):
        report(save_dir, out=tmp_path)
    assert (tmp_path / "report.html").read_text() == "<html>my own page</html>"
    (tmp_path / "report.html").rename(tmp_path / "notes.html")
    with pytest.raises(UsageError, match=r"holds files but no report\.html; choose another folder"):
        report(save_dir, out=tmp_path)
    with pytest.raises(UsageError, match="is a file, not a folder"):
        report(save_dir, out=tmp_path / "notes.html")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.html"]


@pytest.mark.slow
def test_a_stopped_report_can_be_repeated(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def stop(path: Path, content: Any) -> None:
        if len(written) == 3:
            path.with_name(f".{path.name}.cnnlab-partial").write_bytes(b"a part")
            raise KeyboardInterrupt
        written.append(path.name)
        write_atomically(path, content)

    save_dir = trained.folder / "save"
    with monkeypatch.context() as patched:
        patched.setattr("cnnlab.report.write_atomically", stop)
        with pytest.raises(KeyboardInterrupt):
            report(save_dir, out=tmp_path)
    assert written[0] == "report.html"
    assert "not finished" in (tmp_path / "report.html").read_text()
    answer = report(save_dir, out=tmp_path)
    assert "not finished" not in (tmp_path / "report.html").read_text().partition("Curves")[0]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.html", *answer["pictures"]}
    # Killed before its first file.
    (tmp_path / "new").mkdir()
    (tmp_path / "new/.report.html.cnnlab-partial").write_text("a part")
    report(save_dir, out=tmp_path / "new")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 1, "nowhere holds no run (no config.yaml)"),
        (["--split=tset"], 2, "--split=tset is not valid"),
        (["--image=[1]"], 2, "unknown option --image in the command line; did you mean --images?"),
        (["--examples=0"], 2, "--examples=0 is not valid"),
        (["RUN", "--save_dir=other"], 2, "name runs, or one with --save_dir, but not both"),
        (["RUN", "--images=[1000]"], 2, "there is no image 1000; the test split of shapes has 0"),
        (["RUN", "--checkpoint=7"], 1, "has no checkpoint of step 7; it has: 20, 40"),
    ],
)
def test_wrong_options_are_refused(
    words: list[str], code: int, message: str, trained: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(trained.folder / "save") if word == "RUN" else word for word in words]
    with pytest.raises(SystemExit) as end:
        main([*words, "--out=new"])
    assert end.value.code == code
    assert message in commands.assert_one_error_line(capsys.readouterr().err)
    assert not Path("new").exists()


def test_the_command_passes_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: dict[str, Any] = {}

    def record(*runs: Any, **options: Any) -> dict[str, Any]:
        passed.update(inspect.signature(report).bind(*runs, **options).arguments)
        return {"runs": [], "report": "", "pictures": []}

    monkeypatch.setattr("cnnlab.report.__main__.report", record)
    with pytest.raises(SystemExit) as end:
        main(["--model=net.py:net", "--trust=True"])
    assert not end.value.code
    assert (passed["model"], passed["trust"]) == ("net.py:net", True)
    own = fields_of(ReportOptions).keys() - fields_of(Options).keys()
    assert passed.keys() == own - {"save_dir"} | {"runs"}


def test_a_run_without_a_checkpoint(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text((trained.folder / "save/config.yaml").read_text())
    with pytest.raises(CnnlabError, match="run holds no checkpoint yet"):
        report(tmp_path / "run")
    assert not (tmp_path / "run/report").exists()


@pytest.mark.slow
def test_the_arrays_of_a_script(tmp_path: Path) -> None:
    with small_run.make(tmp_path / "run", steps=2) as train:
        train.train()
    with pytest.raises(UsageError, match="the run was trained on arrays of a script"):
        report(tmp_path / "run")


@pytest.mark.slow
def test_the_command(trained: Any, tmp_path: Path) -> None:
    """Report on a run in progress: no result.json, and the last logged line is cut short."""
    run = tmp_path / "run"
    run.mkdir()
    for path in (trained.folder / "save").glob("*.*"):
        if path.is_file() and path.name != "result.json":
            (run / path.name).write_bytes(path.read_bytes())
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 50, "sp')
    words = ("run", "--checkpoint=20", "--split=validation", "--json", "--examples=2")
    made = commands.finish(commands.start("cnnlab.report", *words, cwd=tmp_path), tmp_path)
    assert made.code == 0, made.stderr
    answer = json.loads(made.stdout)
    assert (answer["runs"][0]["step"], answer["runs"][0]["split"]) == (20, "validation")
    page = Page(tmp_path / "run/report/report.html")
    assert "not finished: 40 of 40 steps made" in page.text


@pytest.mark.slow
def test_a_convolutional_network_with_everything_on(tmp_path: Path) -> None:
    """Moving averages, test-time augmentation, a cropped view, batch norm."""
    save_dir = tmp_path / "<i>run"
    options: dict[str, Any] = {
        "dataset": "shapes",
        "model": "cifar_cnn",
        "model_options": {"batch_norm": "before"},
        "augment": [{"random_crop": {"size": 24}}, "flip", "normalize"],
        "ema_decay": 0.9,
        "tta": "mirror",
        "steps": 4,
        "batch_size": 20,
        "summary_steps": 2,
        "eval_steps": 2,
        "eval_examples": 20,
    }
    with Train(**options, save_dir=str(save_dir), log_dir=str(tmp_path / "l")) as train:
        train.train()
    answer = report(save_dir, examples=3)
    expected = evaluate(str(save_dir))
    assert answer["runs"][0]["accuracy"] == expected["accuracy"]
    # The report computes layer by layer, evaluate with faster kernels: they may round differently.
    assert answer["runs"][0]["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert answer["runs"][0]["parameters"] == 5 * 5 * 3 * 64 + 64 + 102_464 + 51_232 + (
        3 * 3 * 32 * 128 + 128 + 8_256 + 650 + 704
    )
    page = Page(Path(answer["report"]))
    assert "where the feature maps of conv3_relu are evidence for the class" in page.text
    assert "<i>run" in page.text
    assert "704 more parameters are not trained" in page.text
    assert "conv1: 64 filters of 5x5x3" in page.text
    assert "rows: all 3 channels" in page.text
    assert "columns: the first 16 of 64 filters" in page.text
    assert "rows: the first 8 of 64 channels" in page.text
    assert {"filters.png", "filters_by_depth.png"} <= set(answer["pictures"])
    # The image beside a saliency map is the part that the network saw.
    studied = [png for png, alt in page.images if alt.startswith("gradient")]
    with Image.open(io.BytesIO(studied[0])) as image:
        assert image.size == (24, 24)
