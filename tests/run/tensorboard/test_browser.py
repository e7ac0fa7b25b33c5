"""The real TensorBoard on a real run, in a headless Chromium.

Screenshots are kept in the folder that CNNLAB_SCREENSHOTS names, else with pytest's files.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import commands
from tests.run.tensorboard.browser import CHROMIUM, Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (Debian: chromium)"),
]
STEPS, FIRST_STEPS, EVAL_EXAMPLES = 200, 100, 500
OPTIONS = (
    *("--dataset=shapes", "--model=mnist_perceptron", "--model_options={init_stddev: 0.01}"),
    *("--batch_size=50", "--learning_rate=0.0005", "--augment=[flip]"),
    *("--eval_steps=25", f"--eval_examples={EVAL_EXAMPLES}", "--summary_steps=10"),
    *("--checkpoint_steps=50", "--tensorboard=all", "--layer_summaries", "--trace_steps=100,101"),
    *("--log_dir=logs/shapes", "--device=cpu", "--json"),
)
BOXES = {"input", "model", "loss", "optimizer", "metrics", "training", "evaluation"}
# The colours of the curves in each card, by tag; each run has one colour.
CURVES = """
const curves = {};
for (const card of deep(CARD)) {
  const paths = deep('path', card.shadowRoot).filter(
    path => (path.getAttribute('d') || '').split(/[LC]/).length > 3
      && getComputedStyle(path).stroke.startsWith('rgb')
      && path.getBoundingClientRect().width > 20);
  curves[card.tag] = [...new Set(paths.map(path => getComputedStyle(path).stroke))];
}
"""


class Board:
    """A TensorBoard that shows a run, and a browser that shows the TensorBoard."""

    def __init__(self, address: str, browser: Browser, run: Path, screenshots: Path) -> None:
        self.address = address
        self.browser = browser
        self.run = run
        self._screenshots = screenshots

    def open(self, tab: str, **settings: str) -> None:
        words = "".join(f"&{name}={urllib.parse.quote(text)}" for name, text in settings.items())
        self.browser.open(f"{self.address}?darkMode=false#{tab}{words}")

    def wait_for(self, script: str) -> Any:
        return self.browser.wait_for(script, timeout_secs=150)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.address}{path}", timeout=60) as answer:
            return json.load(answer)

    def keep(self, name: str, **settings: Any) -> None:
        time.sleep(2)  # until the animations have ended
        path = self._screenshots / f"tensorboard-{name}.png"
        self.browser.screenshot(path, **settings)
        assert path.stat().st_size > 10_000


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """Start TensorBoard on a run that was stopped and resumed."""
    run = tmp_path_factory.mktemp("board")
    for steps in (FIRST_STEPS, STEPS):
        process = commands.start("cnnlab.train", *OPTIONS, f"--steps={steps}", cwd=run)
        done = commands.finish(process, run)
        assert done.code == 0, done.stderr
    screenshots = Path(os.environ.get("CNNLAB_SCREENSHOTS", run / "screenshots"))
    screenshots.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("--logdir=logs", f"--port={port}", "--host=127.0.0.1")
    with (run / "tensorboard.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", *words], cwd=run, stdout=log, stderr=log
        )
    try:
        (run / "profile").mkdir()
        with Browser(run / "profile") as browser:
            board = Board(f"http://127.0.0.1:{port}/", browser, run, screenshots)
            wait_for_runs(board)
            yield board
    finally:
        server.terminate()
        server.wait(60)


def wait_for_runs(board: Board) -> None:
    until = time.monotonic() + 150
    while True:
        try:
            if sorted(board.get("data/runs")) == ["shapes", "shapes/train", "shapes/val"]:
                return
        except OSError:
            pass
        assert time.monotonic() < until, (board.run / "tensorboard.log").read_text()
        time.sleep(0.5)


def test_train_and_val_share_a_chart(board: Board) -> None:
    board.open("scalars", tagFilter="^(accuracy|loss)$", _ignoreYOutliers="false")
    both = "curves.accuracy?.length >= 2 && curves.loss?.length >= 2 && curves"
    script = CURVES.replace("CARD", "'tf-scalar-card'")
    curves = board.wait_for(f"{script} return {both};")
    assert len(curves["accuracy"]) == len(curves["loss"]) == 2
    assert set(curves["accuracy"]) == set(curves["loss"])
    board.keep("scalars")
    for split, every in (("train", 10), ("val", 25)):
        points = board.get(f"data/plugin/scalars/scalars?run=shapes%2F{split}&tag=loss")
        assert [step for _, step, _ in points] == list(range(every, STEPS + 1, every))


def test_the_time_series_have_a_card_with_both_runs(board: Board) -> None:
    board.open("timeseries")
    rows = "deep('scalar-card')[0]?.textContent"
    text = board.wait_for(f"const t = {rows}; return t?.includes('shapes/val') && t;")
    assert "shapes/train" in text
    board.keep("timeseries")


def test_the_graph_has_few_boxes(board: Board) -> None:
    board.open("graphs")
    names = board.wait_for("return deep('g.node').map(node => node.getAttribute('data-name'));")
    assert set(names) == BOXES
    board.keep("graph")


def test_traced_steps_are_in_the_graph(board: Board) -> None:
    found = board.get("data/plugin/graphs/info")["shapes/train"]
    assert set(found["tags"]) == {"step 100", "step 101"}


def test_hparams_have_one_row_with_the_figures(board: Board) -> None:
    board.open("hparams")
    script = "const c = deep('vaadin-grid-cell-content').map(cell => cell.textContent.trim());"
    cells = board.wait_for(f"{script} return c.includes('shapes') && c;")
    lines = (board.run / "save/metrics.jsonl").read_text().splitlines()
    val = [line for line in map(json.loads, lines) if line["split"] == "val"][-1]
    test = json.loads((board.run / "save/result.json").read_text())
    assert val["step"] == test["step"] == STEPS
    assert {"learning_rate", "model", "val accuracy", "val loss", "test accuracy"} <= set(cells)
    assert cells.count("mnist_perceptron") == 1
    shown = numbers(cells)
    for expected in (50, 0.0005, val["accuracy"], val["loss"], test["accuracy"], test["loss"]):
        assert any(number == pytest.approx(expected, rel=1e-4) for number in shown), expected
    board.keep("hparams", width=1900, height=400)


def numbers(texts: list[str]) -> list[float]:
    found = []
    for text in texts:
        try:
            found.append(float(text))
        except ValueError:
            continue
    return found


def test_the_pictures_are_there(board: Board) -> None:
    board.browser.resize(1280, 1000)  # TensorBoard loads visible pictures only
    board.open("images")
    sizes = board.wait_for(
        "const sizes = {};"
        "for (const card of deep('tf-image-loader')) {"
        "  const image = deep('img', card.shadowRoot).find(image => image.naturalWidth > 1);"
        "  if (image) sizes[card.tag] = image.naturalWidth; }"
        "return Object.keys(sizes).length >= 3 && sizes;"
    )
    names = ("inputs", "mistakes", "confusion_matrix")
    assert set(sizes) == {f"images/{name}" for name in names}
    assert min(sizes.values()) > 300
    board.keep("images", height=1000)


def test_each_class_has_a_pr_curve(board: Board) -> None:
    board.open("pr_curves")
    script = CURVES.replace("CARD", "'tf-pr-curve-card'")
    enough = "Object.values(curves).some(colours => colours.length) && curves"
    curves = board.wait_for(f"{script} return {enough};")
    assert curves
    board.keep("pr_curves")
    tags = board.get("data/plugin/pr_curves/tags")["shapes/val"]
    assert len(tags) == 10


@pytest.mark.parametrize("tab", ["distributions", "histograms"])
def test_distributions_are_drawn(tab: str, board: Board) -> None:
    board.open(tab, tagFilter="weights")
    board.wait_for(
        f"return deep('tf-{tab[:-1]}-loader').some(loader => "
        "deep('path', loader.shadowRoot).filter(path => path.getAttribute('d')).length > 3);"
    )
    board.keep(tab)


def test_the_projector_shows_the_features(board: Board) -> None:
    board.open("projector")
    points = "deep('.numDataPoints').map(element => element.textContent.trim()).join()"
    assert board.wait_for(f"const n = {points}; return Number(n) > 0 && n;") == "1000"
    board.keep("projector")
