"""Errors in the user's own functions name the user's own line."""

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnnlab import layers
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.base.user_code import place_of, user_code, users_line
from cnnlab.layers.tower import Tower, building

SOURCE = """
def net(images):
    return helper(images)


def helper(images):
    return {}
"""


def function_of(folder: Path, body: str, **names: Any) -> Callable[..., Any]:
    """Return `net` of a file my_net.py, which calls `helper`, whose line 7 returns `body`."""
    path = folder / "my_net.py"
    source = SOURCE.format(body)
    path.write_text(source, encoding="utf-8")
    names.update(tf=tf, layers=layers)
    exec(compile(source, str(path), "exec"), names)
    return names["net"]


def error_of(folder: Path, body: str) -> CnnlabError:
    """Return the error of building a network whose helper returns `body`."""
    net = function_of(folder, body)
    with tf.Graph().as_default(), building(Tower(1)):
        images = tf.placeholder(tf.float32, [None, 4, 4, 3])
        with pytest.raises(CnnlabError) as raised, user_code():
            net(images)
    return raised.value


CASES = {
    "tf.reshape(images, [-1, 48]) + tf.zeros([2, 5])": (
        "ValueError: Dimensions must be equal, but are 48 and 5; the shapes are [?,48], [2,5]"
    ),
    "layers.conv2d(images, 8, 5)": "ValueError: Negative dimension size caused by",
    "layers.dense(images[0, 0, 0], 5)": 'ValueError: Input 0 of layer "dense" is incompatible',
    "imges + 1": "NameError: name 'imges' is not defined",
    "{}['x']": "KeyError: 'x'",
    "(_ for _ in ()).throw(AssertionError)": "AssertionError",
}


@pytest.mark.parametrize("body", CASES)
def test_an_error_names_the_line(tmp_path: Path, monkeypatch: Any, body: str) -> None:
    monkeypatch.chdir(tmp_path)
    error = error_of(tmp_path, body)
    line, _, reason = str(error).partition(": ")
    assert line.startswith("my_net.py:7 (in ")
    assert reason.startswith(CASES[body])
    assert "\n" not in str(error)
    assert type(error.__cause__).__name__ == reason.partition(":")[0]


def test_an_error_of_cnnlab_keeps_its_class_and_its_words(
    tmp_path: Path, tmp_path_factory: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    error = error_of(tmp_path, "layers.dense(images, 5, activation='rellu')")
    assert type(error) is UsageError  # exit code 2
    place = f"{tmp_path / 'my_net.py'}:7 (in helper)"
    assert str(error) == f"{place}: unknown activation rellu; did you mean relu?"


def test_an_error_outside_the_users_code_passes_unchanged() -> None:
    names: dict[str, Any] = {"user_code": user_code}
    file = layers.__file__  # as if this were cnnlab's
    exec(compile("def build():\n    with user_code():\n        {}['x']", file, "exec"), names)
    with pytest.raises(KeyError):
        names["build"]()


def test_the_innermost_line_outside_installed_packages_counts(tmp_path: Path) -> None:
    """A library that the user's code calls is not the user's; alone, it is better than none."""
    net = function_of(tmp_path, "library(images)")
    names: dict[str, Any] = {}
    library = "/usr/lib/python3/site-packages/nets/blocks.py"
    exec(compile("def library(x):\n    return x.no", library, "exec"), names)
    net.__globals__["library"] = names["library"]
    for function, expected in ((net, "my_net.py:7 (in helper)"), (names["library"], library)):
        with pytest.raises(AttributeError) as raised:
            function(None)
        error = raised.value
        assert error.__traceback__ is not None
        error.__traceback__ = error.__traceback__.tb_next  # without this test's own frame
        assert expected in (users_line(error) or "")


def test_the_place_of_a_function(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    net = function_of(tmp_path, "images")
    assert place_of(net) == "my_net.py:2 (net)"
    assert place_of(functools.partial(net, width=3)) == "my_net.py:2 (net)"
    assert place_of(type("Net", (), {"__call__": net})()) == "my_net.py:2 (Net)"
    assert place_of(print) == "print"


def test_a_notebooks_line_is_of_a_cell() -> None:
    names: dict[str, Any] = {}
    exec(compile("def net():\n    return no", "/tmp/ipykernel_31/12.py", "exec"), names)
    with pytest.raises(CnnlabError, match=r"^cell:2 \(in net\): NameError: name 'no'"), user_code():
        names["net"]()


def test_nothing_is_imported_for_it() -> None:
    code = "import cnnlab.base.user_code, sys; print('tensorflow' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
