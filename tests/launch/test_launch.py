"""The command launch: what it refuses, whose lines it prints, and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import commands


def test_it_needs_a_command_after_two_dashes(tmp_path: Path) -> None:
    for words in ([], ["--", "predict"]):
        process = commands.start("cnnlab.launch", "--workers=2", *words, cwd=tmp_path)
        done = commands.finish(process, tmp_path)
        assert done.code == 2
        assert "cnnlab launch --workers=2 -- train" in done.stderr


@pytest.mark.slow
def test_a_wrong_option_of_train_ends_all_workers(tmp_path: Path) -> None:
    process = commands.start(
        "cnnlab.launch", "--workers=2", "--", "train", "--batch_size=-1", cwd=tmp_path
    )
    done = commands.finish(process, tmp_path)
    assert done.code == 2
    assert "[0] error: " in done.stderr
    assert "[1] error: " in done.stderr
