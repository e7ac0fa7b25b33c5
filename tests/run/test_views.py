"""What a run shows: history, figure, summary, repr; paths; the progress bar."""

import io
import json
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import CnnlabError, Train, UsageError
from cnnlab.run import progress
from cnnlab.run.history import History
from tests import small_run


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run that the tests only read."""
    options: Any = {**small_run.OPTIONS, **small_run.BUSY}
    save_dir = tmp_path_factory.mktemp("views") / "save"
    with Train(
        model=small_run.network, data=small_run.arrays(), save_dir=save_dir, **options
    ) as train:
        train.train()
        yield train


def lines_of(train: Any) -> list[dict[str, Any]]:
    path = Path(train.config.save_dir) / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_history_has_the_figures_as_arrays(train: Train) -> None:
    history, lines = train.history, lines_of(train)
    for arrays, split in ((history.train, "train"), (history.validation, "val")):
        expected = [line for line in lines if line["split"] == split]
        assert arrays["step"].dtype == np.int64
        for name in set(expected[0]) - {"split"}:
            np.testing.assert_array_equal(arrays[name], [line[name] for line in expected])
    assert history.train["step"].tolist() == [3, 6, 9]
    assert history.validation["step"].tolist() == [2, 4, 6, 8, 9]
    assert "train: 3 x (step, loss, accuracy, learning_rate" in repr(history)
    same: Any = {"model": small_run.network, "save_dir": train.config.save_dir, "batch_size": 6}
    reopened = Train(data=small_run.arrays(), **same)
    assert reopened.history.train["loss"].tolist() == history.train["loss"].tolist()


def test_a_figure_that_a_line_lacks_is_nan(tmp_path: Path) -> None:
    figures = {"loss": 0.5, "accuracy": 0.25, "learning_rate": 0.1, "images_per_sec": 9.0}
    lines: list[dict[str, Any]] = [{"step": 1, "split": "train", **figures}]
    lines += [{**lines[0], "step": 2, "own": 3.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    history = History(tmp_path)
    np.testing.assert_array_equal(history.train["own"], [np.nan, 3.0])
    assert history.validation["step"].size == 0


def test_history_is_of_this_run_only(train: Train) -> None:
    fresh = Train(save_dir="nothing", dataset="shapes")
    with pytest.raises(CnnlabError, match="nothing holds no figures yet; train first"):
        _ = fresh.history
    (images, labels), test = small_run.arrays()
    same: Any = {"model": small_run.network, "save_dir": train.config.save_dir, "batch_size": 6}
    another = Train(data=((255 - images, labels), test), **same)
    with pytest.raises(UsageError, match="holds another run: other train images"):
        _ = another.history
    another = Train(data=small_run.arrays(), seed=9, **same)
    with pytest.raises(UsageError, match="holds another run: seed"):
        another.plot()


def test_to_pandas(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    fake: Any = types.ModuleType("pandas")
    fake.DataFrame = lambda rows: seen.append(rows) or "table"
    monkeypatch.setitem(sys.modules, "pandas", fake)
    assert train.history.to_pandas() == "table"
    assert seen == [lines_of(train)]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(CnnlabError, match="needs pandas: pip install pandas"):
        train.history.to_pandas()


def test_plot_draws_the_curves(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = train.plot()
    loss, accuracy = figure.axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    drawn = {line.get_label(): line for line in loss.get_lines()}
    np.testing.assert_array_equal(drawn["train"].get_xydata()[:, 1], train.history.train["loss"])
    validation = train.history.validation
    np.testing.assert_array_equal(drawn["validation"].get_xydata()[:, 1], validation["loss"])
    assert figure._repr_png_().startswith(b"\x89PNG")
    figure.savefig(png := io.BytesIO())
    assert png.getvalue().startswith(b"\x89PNG")
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CnnlabError, match=r"needs matplotlib: pip install 'cnnlab\[report\]'"):
        train.plot()


def test_summary_before_training(capsys: pytest.CaptureFixture[str]) -> None:
    train = Train(dataset="mnist", model="mnist_perceptron", data_dir="absent")
    assert train.summary() is None  # type: ignore[func-returns-value]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "operations", "output", "trained", "fixed", "MFLOPs"]
    assert lines[-1].split() == ["total", "7,850", "0", "0.016"]
    assert any(line.split()[:1] == ["logits"] and "7,850" in line for line in lines)
    assert train.step == 0
    assert not Path("absent").exists()


def test_repr_names_what_differs_from_the_defaults(train: Train) -> None:
    fresh = Train(dataset="mnist", model="mnist_cnn", lr=0.5, augment="flip", quiet=True)
    assert repr(fresh) == (
        "<Train(model='mnist_cnn', dataset='mnist', augment=['flip'], learning_rate=0.5)>"
    )
    text = repr(train)
    assert text.endswith(" at step 9>")
    assert "batch_size=6" in text
    assert "momentum" not in text
    assert "log_dir" not in text


@pytest.mark.slow
def test_aliases_in_both_calls(tmp_path: Path) -> None:
    with Train(data=small_run.arrays(), model=small_run.network, lr=0.5, bs=4) as train:
        train.train(tmp_path / "save", learning_rate=0.25, epoch=1)
        assert train.config.learning_rate == 0.25
        assert train.step == 5


@pytest.mark.slow
def test_quiet_prints_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = {**small_run.OPTIONS, **small_run.BUSY, "quiet": True}
    with Train(data=small_run.arrays(), model=small_run.network, **options) as train:
        result = train.train(tmp_path / "save")
        assert train.train() == result
        train.train(steps=11)
    assert capfd.readouterr() == ("", "")


class Kernel:
    kernel = "ipykernel's"


@pytest.mark.parametrize("has_widgets", [False, True])
@pytest.mark.slow
def test_a_notebook_has_a_bar_without_a_warning(
    has_widgets: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    shell: Any = types.ModuleType("IPython")
    shell.get_ipython = Kernel
    monkeypatch.setitem(sys.modules, "IPython", shell)
    opened: list[Any] = []
    notebook: Any = types.ModuleType("tqdm.notebook")
    notebook.tqdm = lambda **arguments: opened.append(arguments) or progress.tqdm(**arguments)
    monkeypatch.setitem(sys.modules, "tqdm.notebook", notebook)
    found = types.SimpleNamespace() if has_widgets else None
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Train(data=small_run.arrays(), model=small_run.network, **small_run.OPTIONS) as train:
            train.train(tmp_path / "save")
    assert len(opened) == has_widgets
    err = capsys.readouterr().err
    assert "13/13" in err
    assert "step 13/13: loss" not in err


@pytest.mark.slow
def test_any_path_is_a_path(train: Train, tmp_path: Path) -> None:
    from cnnlab.evaluate import evaluate
    from cnnlab.export import export

    assert isinstance(train.config.save_dir, str)
    save_dir = Path(train.config.save_dir)
    figures = evaluate(save_dir, data=small_run.arrays()[1], csv=tmp_path / "figures.csv")
    assert figures["n"] == 7
    assert (tmp_path / "figures.csv").exists()
    export(save_dir=save_dir, format="npz", out=tmp_path / "weights.npz")
    assert (tmp_path / "weights.npz").exists()
