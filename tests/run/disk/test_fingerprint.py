"""A run directory is used with the data and the model of its own run only."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cnnlab import Train, UsageError, dataset_from_arrays
from cnnlab.base.errors import CnnlabError
from cnnlab.base.own_functions import describe
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.data.datasets import load_dataset
from cnnlab.data.training_data import TrainingData
from cnnlab.run.disk.fingerprint import differing_parts, fingerprints_of
from tests import commands, small_run

DIFFERENCES = {
    "train images": lambda train, test: ((255 - train[0], train[1]), test),
    "train labels": lambda train, test: ((train[0], train[1][::-1].copy()), test),
    "train weights": lambda train, test: ((*train, np.arange(small_run.NUM_TRAIN)), test),
    "test images": lambda train, test: (train, (255 - test[0], test[1])),
    "test labels": lambda train, test: (train, (test[0], test[1] % 2)),
    "class names": lambda train, test: dataset_from_arrays(train, test, class_names="abcd"),
}
USES: dict[str, Callable[[Train], Any]] = {
    "train": lambda train: train.train(),
    "train on": lambda train: train.train(steps=4),
    "evaluate": lambda train: train.evaluate(),
    "predict": lambda train: train.predict(small_run.arrays()[1][0]),
    "restore": lambda train: train.restore(),
}


def make(folder: Path, model: Any = small_run.linear, **options: Any) -> Train:
    return small_run.make(folder / "run", model, **{"steps": 2, **options})


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("what", "use"),
    [*((what, "train") for what in DIFFERENCES), *(("train labels", u) for u in USES)],
)
@pytest.mark.slow
def test_other_data_is_refused(what: str, use: str, tmp_path: Path) -> None:
    with make(tmp_path) as train:
        expected = train.train()
    before = content(tmp_path)
    data = DIFFERENCES[what](*small_run.arrays())
    with make(tmp_path, data=data) as train, pytest.raises(UsageError) as error:
        USES[use](train)
    assert str(error.value) == (
        f"{tmp_path}/run holds another run: other {what}; start a new one with "
        f"--save_dir={tmp_path}/run-2, or give the same data and model to resume it"
    )
    assert content(tmp_path) == before
    with make(tmp_path) as train:
        assert train.train() == expected
    with make(tmp_path, data=data, overwrite=True) as train:
        assert train.train()["finished"]


def test_arrays_that_were_changed_in_place_are_other_data(tmp_path: Path) -> None:
    data = small_run.arrays()
    with make(tmp_path, data=data) as train:
        train.train()
        data[0][0][:] //= 2
        with pytest.raises(UsageError, match="other train images"):
            train.train(steps=4)


@pytest.mark.parametrize("use", USES)
@pytest.mark.slow
def test_another_model_of_the_same_name_and_variables_is_refused(use: str, tmp_path: Path) -> None:
    def brighter(images: Any, num_classes: int, *, training: bool) -> Any:
        return small_run.linear(2 * images, num_classes, training=training)

    def model(images: Any, num_classes: int, *, training: bool) -> Any:
        return small_run.linear(images, num_classes, training=training)

    brighter.__qualname__ = model.__qualname__
    with make(tmp_path, model) as train:
        train.train()
    with (
        make(tmp_path, brighter) as train,
        pytest.raises(UsageError, match="run holds another run: other model code; start"),
    ):
        USES[use](train)


SCRIPT = '''
from cnnlab import layers

WIDTHS = (8, 16)
SEEN = []


def block(x, width):
    return [layers.dense(x, width + n, name=f"d{n}") for n in (1, 2)]


class Head:
    scale = 2.0

    def __call__(self, x):
        return x * self.scale


def model(images, num_classes, *, training, rate=0.5, kinds=frozenset("abc")):
    """Ours."""
    SEEN.append(images)
    x = sum(block(images, WIDTHS[0]))
    return Head()(x) if rate in (0.5, 0.25) else (lambda: x)()
'''
SAME = {
    "nothing": ("", ""),
    "a comment": ("    x = sum", "    # The sum.\n    x = sum"),
    "lines": ("\n\n\ndef model", "\n\n\n\n\n\ndef model"),
    "a docstring changed": ("Ours.", "Mine."),
    "a docstring removed": ('    """Ours."""\n', ""),
    "a docstring added": ("(x, width):\n", '(x, width):\n    """Two layers."""\n'),
    "a record of calls": ("SEEN = []", "SEEN = [1]"),
    "code beside the model": ("SEEN = []", "SEEN = []\nother = 5\n"),
}
OTHER = {
    "an operation": ("x * self.scale", "x + self.scale"),
    "a constant": ("in (0.5, 0.25)", "in (0.5, 0.75)"),
    "a global": ("(8, 16)", "(9, 16)"),
    "a helper": ("width + n", "width - n"),
    "a nested constant": ("in (1, 2)", "in (2, 1)"),
    "a name": ("layers.dense", "layers.elsed"),
    "a member of a class": ("scale = 2.0", "scale = 3.0"),
    "a default": ("rate=0.5", "rate=0.25"),
    "a lambda": ("(lambda: x)()", "(lambda: -x)()"),
}


def fingerprint_of(source: str, find: str = "", put: str = "") -> dict[str, str]:
    """The fingerprint of the function model of a module with this source."""
    assert find in source
    Path("script.py").write_text(source.replace(find, put, 1) if find else source)
    spec = importlib.util.spec_from_file_location("script", "script.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    return fingerprints_of(TrainingData(Config(), None), {"model": describe(module.model)})


@pytest.mark.parametrize("change", SAME)
def test_these_changes_leave_a_model_the_same(change: str) -> None:
    found = fingerprint_of(SCRIPT, *SAME[change])
    assert not differing_parts(fingerprint_of(SCRIPT), found)


@pytest.mark.parametrize("change", OTHER)
def test_these_changes_make_another_model(change: str) -> None:
    found = fingerprint_of(SCRIPT, *OTHER[change])
    assert differing_parts(fingerprint_of(SCRIPT), found) == ["model code"]


@pytest.mark.slow
def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """The order of a set is not."""
    program = (
        "from tests.run.disk.test_fingerprint import SCRIPT, fingerprint_of\n"
        "print(fingerprint_of(SCRIPT))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": str(commands.ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {f"{fingerprint_of(SCRIPT)}\n"}


def test_what_a_closure_and_a_partial_hold_counts() -> None:
    def factory(width: int) -> Any:
        return lambda images: images * width

    def of(model: Any) -> dict[str, str]:
        return fingerprints_of(TrainingData(Config(), None), {"model": describe(model)})

    assert of(factory(2)) == of(factory(2)) != of(factory(3))
    assert of(partial(small_run.linear, a=2)) == of(partial(small_run.linear, a=2))
    assert of(partial(small_run.linear, a=2)) != of(partial(small_run.linear, a=3))


def test_code_of_another_python_cannot_be_compared() -> None:
    here = fingerprint_of(SCRIPT)
    (text,) = here.values()
    other = {"model code": text.replace(text.split()[0], "cpython-399")[:-1] + "x"}
    assert differing_parts(other, here) == []
    assert differing_parts({"model code": text[:-1] + "x"}, here) == ["model code"]
    assert differing_parts({}, here) == differing_parts(here, {}) == ["model code"]


@pytest.mark.slow
def test_official_files_are_known_by_name_and_others_by_content() -> None:
    official, unverified = (
        TrainingData(opts.build(Config, {"dataset": "shapes", "verify_data": verified}), None)
        for verified in (True, False)
    )
    assert fingerprints_of(official, {}) == {}
    given = TrainingData(Config(), load_dataset("shapes", "."))
    found = fingerprints_of(unverified, {})
    assert found == fingerprints_of(given, {})
    assert list(found) == [*["class names", *DIFFERENCES][:3], "test images", "test labels"]


@pytest.mark.slow
def test_whoever_deletes_the_fingerprints_decides_alone(tmp_path: Path) -> None:
    with make(tmp_path) as train:
        train.train()
    path = tmp_path / "run" / "config.yaml"
    document = yaml.safe_load(path.read_text())
    assert set(document.pop("fingerprints")) == {
        *("model code", "class names", "train images", "train labels"),
        *("test images", "test labels"),
    }
    path.write_text(yaml.safe_dump(document))
    with make(tmp_path, data=DIFFERENCES["test labels"](*small_run.arrays())) as train:
        assert train.train(steps=4)["finished"]
    with make(tmp_path) as train, pytest.raises(CnnlabError, match="other test labels"):
        train.train()
