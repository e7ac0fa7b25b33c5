"""`cnnlab bottleneck`: what it refuses, in one line."""

from pathlib import Path
from typing import Any

import pytest

from cnnlab.base.errors import CnnlabError, DataError, UsageError
from cnnlab.bottleneck.__main__ import main
from tests import commands
from tests.bottleneck.small_base import (
    arrays,
    without_base,
    without_head,
)
from tests.bottleneck.test_bottleneck import make


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"init_from": None}, UsageError, "bottleneck needs the weights of the base: --init_from="),
        ({"head": "svn"}, UsageError, "--head=svn is not valid: .*did you mean svm"),
        ({"augment": ["flip"]}, UsageError, "--augment changes the images in each epoch"),
        ({"head": "svm", "loss": "mse"}, UsageError, "--loss=mse does not fit --head=svm"),
        ({"trainable": "conv1"}, UsageError, "--trainable=conv1 does not match the head alone"),
        (
            {"head": "sklearn_svm", "epochs": 3},
            UsageError,
            "--epochs has no meaning with --head=sklearn_svm",
        ),
        (
            {"head": "random_forest", "epochs": None, "sampling": "balanced"},
            UsageError,
            "--sampling=balanced has no meaning with --head=random_forest, .*--class_weights=b",
        ),
        (
            {"model": without_head, "model_options": {}},
            UsageError,
            "has no head for bottleneck: it does not end in a plain dense layer",
        ),
        (
            {"model": without_base, "model_options": {}},
            UsageError,
            "has no weights before its head, so there are no features",
        ),
        (
            {"model_options": {"filters": 6}},
            CnnlabError,
            "lacks 1 of 6 variables of the base|no variable there has|lacks",
        ),
        (
            {"data": ((arrays()[0][0], [0, 2] * 10), arrays()[1])},
            DataError,
            "the training set has images of 2 of 3 classes",
        ),
    ],
)
def test_bad_input_is_named(
    source: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as found:
        make(source, **options)
    assert "\n" not in str(found.value)
    assert not Path("joined").exists()


def test_scikit_learn_is_named_if_it_is_missing(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "sklearn" else find(name, *a)
    )
    with pytest.raises(CnnlabError, match=r"needs scikit-learn: pip install 'cnnlab\[sklearn\]'"):
        make(source, head="random_forest", epochs=None)


def test_the_command_names_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--dataset=shapes", "--model=resnet20"])
    assert end.value.code == 2
    found = commands.assert_one_error_line(capsys.readouterr().err)
    assert found.startswith("bottleneck needs the weights of the base")
