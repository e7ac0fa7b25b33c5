"""A model of one's own in a search and in a table of results."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.reproduce import reproduce
from cnnlab.tune import tune
from tests import small_run

NET = (
    "from cnnlab import layers\n\ndef net(images, num_classes, *, training, units=3):\n"
    "    x = layers.dense(layers.flatten(images), units, activation='relu')\n"
    "    return layers.dense(x, num_classes)\n"
)
OPTIONS = "dataset='shapes', batch_size=20, steps=2, save_dir='study'"


@pytest.mark.slow
def test_a_search_over_the_options_of_a_model_of_ones_own() -> None:
    Path("net.py").write_text(NET)
    Path("program.py").write_text(
        f"from cnnlab.tune import tune\n{NET}\nif __name__ == '__main__':\n"
        f"    found = tune({{'units': [2, 4]}}, model=net, {OPTIONS})\n"
        "    print('trials', len(found['trials']))\n"
    )
    done = subprocess.run([sys.executable, "program.py"], capture_output=True, text=True)
    assert "trials 2" in done.stdout, done.stderr
    assert Path("study/trial-0000/code/model/program.py").is_file()


@pytest.mark.slow
def test_a_program_that_would_run_again_is_refused() -> None:
    Path("program.py").write_text(
        f"from cnnlab.tune import tune\n{NET}\ntune({{'units': [2, 4]}}, model=net, {OPTIONS})\n"
    )
    done = subprocess.run([sys.executable, "program.py"], capture_output=True, text=True)
    message = "UsageError: model=program.py:net: other processes import"
    assert message in done.stderr
    assert "so line 8 would run there; put it under if __name__" in done.stderr


def test_a_function_inside_a_function_cannot_be_loaded_elsewhere() -> None:
    def inner(images: Any, num_classes: int, *, training: bool) -> Any:
        return small_run.linear(images, num_classes, training=training)

    with pytest.raises(UsageError, match="inner cannot be loaded by other processes; write it"):
        tune({"seed": [1, 2]}, model=inner)


@pytest.mark.slow
def test_a_recipe_of_ones_own_and_another_model_in_the_table() -> None:
    Path("net.py").write_text(NET)
    Path("mine.yaml").write_text(
        "dataset: shapes\nmodel: net.py:net\nbatch_size: 20\nsteps: 2\nabout: {claimed: 0.05}\n"
    )
    (row,) = reproduce(["mine.yaml"])
    assert row["system"] == "mine"
    assert Path("save/reproduce/mine/seed-1/code/model/net.py").is_file()
    (row,) = reproduce(["mine.yaml"], model="net.py:net")
    assert row["system"] == "mine+net"
    assert row["claimed"] is None
