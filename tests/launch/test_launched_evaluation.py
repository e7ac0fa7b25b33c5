"""Evaluation by several processes: the figures and the files are those of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnnlab.data.datasets import load_dataset
from tests import commands

NAMES = ("circle", "ring")


def evaluate(folder: Path, count: int, *words: str) -> dict[str, Any]:
    """Return the figures, and the content of the files that were written."""
    out = [folder / f"{count}.{name}.csv" for name in ("figures", "predictions")]
    words = (*words, "--json", f"--csv={out[0]}", f"--predictions={out[1]}")
    words = ("--workers", str(count), "--", "evaluate", *words) if count > 1 else words
    module = "cnnlab.launch" if count > 1 else "cnnlab.evaluate"
    done = commands.finish(commands.start(module, *words, cwd=folder), folder)
    assert done.code == 0, done.stderr
    return {**json.loads(done.stdout), "files": [path.read_bytes() for path in out]}


@pytest.mark.slow
def test_workers_have_the_figures_and_files_of_one_process(trained: Any, tmp_path: Path) -> None:
    save_dir = f"--save_dir={trained.folder / 'save'}"
    test = load_dataset("shapes", "none").test
    for index in range(40):
        folder = tmp_path / "photos" / NAMES[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(test.images[index]).save(folder / f"{index:02}.png")
    for words in (["--batch_size=7"], ["--images=photos", "--batch_size=7", "--tta=mirror"]):
        alone = evaluate(tmp_path, 1, save_dir, *words)
        for count in (2, 3):
            assert evaluate(tmp_path, count, save_dir, *words) == alone
    assert alone["n"] == 40


@pytest.mark.slow
def test_a_broken_image_of_one_worker_ends_all(trained: Any, tmp_path: Path) -> None:
    test = load_dataset("shapes", "none").test
    folder = tmp_path / "photos" / "circle"
    folder.mkdir(parents=True)
    for index in range(4):
        Image.fromarray(test.images[index]).save(folder / f"{index}.png")
    (folder / "4.png").write_text("no image")
    process = commands.start(
        *("cnnlab.launch", "--workers=2", "--", "evaluate", "--images=photos", "--batch_size=1"),
        f"--save_dir={trained.folder / 'save'}",
        cwd=tmp_path,
    )
    done = commands.finish(process, tmp_path)
    assert done.code == 1
    assert "[1] error: photos/circle/4.png is not an image" in done.stderr
    assert "Traceback" not in done.stderr
