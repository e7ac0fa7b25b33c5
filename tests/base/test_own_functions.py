"""Functions of the user's own: their names, their files, and loading them again."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab.base.errors import UsageError
from cnnlab.base.own_functions import describe, is_reference, load

BLOCKS = "WIDTH = 7\ndef block(x):\n    return x * WIDTH\n"
NET = (
    "import functools\nfrom blocks import block\n"
    "class Nets:\n    @staticmethod\n    def small(x):\n        return block(x)\n"
    "def net(x):\n    return block(x) + 1\n"
    "half = functools.partial(net, 2)\nNUMBER = 3\n"
)
# A program that trains when it is run, without the guard of __main__.
PROGRAM = (
    "import sys\nfrom blocks import *\n"
    "try:\n    import nothing_of_this_name as np\nexcept ImportError:\n    np = None\n"
    "SCALE = 2\ndef helper(x):\n    return block(x) * SCALE\n"
    "def net(x):\n    return helper(x) if np is None else 0\n"
    "net_of_all = helper\nprint('TRAINS')\nresult = net(1)\nsys.exit(3)\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "blocks.py").write_text(BLOCKS)
    (tmp_path / "my_net.py").write_text(NET)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_references() -> None:
    assert is_reference("a.py:b")
    assert is_reference("a.b:c")
    assert not any(is_reference(name) for name in ("resnet20", ":a", "a:", 3, None))


@pytest.mark.slow
def test_a_function_of_a_file_with_the_files_beside_it(folder: Path) -> None:
    found = load("my_net.py:net", "--model")
    assert found.function(3) == 22
    assert found.name == "my_net.py:net"
    assert found.files == {"blocks.py": folder / "blocks.py", "my_net.py": folder / "my_net.py"}
    assert load("my_net.py:Nets.small", "--model").function(3) == 21
    assert load(f"{folder}/my_net.py:half", "--model").function() == 15


@pytest.mark.slow
def test_two_files_of_one_name_are_kept_apart(folder: Path) -> None:
    first = load("my_net.py:net", "--model").function
    (folder / "other").mkdir()
    (folder / "other/my_net.py").write_text(NET)
    (folder / "other/blocks.py").write_text(BLOCKS.replace("7", "8"))
    second = load("other/my_net.py:net", "--model").function
    assert (first(3), second(3)) == (22, 25)


def test_a_function_of_a_package(folder: Path) -> None:
    (folder / "nets").mkdir()
    (folder / "nets/__init__.py").write_text("")
    (folder / "nets/parts.py").write_text(BLOCKS)
    (folder / "nets/small.py").write_text("from .parts import block as net\n")
    found = load("nets.small:net", "--model")
    assert found.function(3) == 21
    assert set(found.files) == {"nets/__init__.py", "nets/parts.py", "nets/small.py"}
    assert found.folder == folder


@pytest.mark.slow
def test_a_program_is_not_run_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = load("program.py:net", "--model", is_script=True)
    assert found.function(3) == 42
    assert capsys.readouterr().out == ""
    with pytest.raises(UsageError, match=r"program.py:15 \(in <module>\): SystemExit: 3"):
        load("program.py:net", "--model")


def test_what_python_passes_is_described(folder: Path) -> None:
    (folder / "main.py").write_text(
        "import functools, my_net\nfrom cnnlab.base.own_functions import describe\n"
        "def net(x):\n    return x\n"
        "class Net:\n    def __call__(self, x):\n        return x\n"
        "def outer():\n    def inner(x):\n        return x\n    return inner\n"
        "for one in (net, my_net.net, functools.partial(net, 1), Net(), outer(), my_net.half):\n"
        "    own = describe(one)\n    print(own.name, own.source, own.is_script, len(own.files))\n"
    )
    done = subprocess.run([sys.executable, "main.py"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "main.py:net main.py:net True 3",
        "my_net.py:net my_net.py:net False 2",
        "main.py:net(...) None True 3",
        "main.py:Net(...) None True 3",
        "main.py:outer.<locals>.inner None True 3",
        "my_net.py:net(...) None False 2",
    ]


def test_a_library_has_no_files_to_keep() -> None:
    assert describe(functools.reduce).files == {}
    assert describe(describe).files == {}


WRONG = {
    "nothing.py:net": "there is no file .*/nothing.py",
    "my_net.py:nett": r"my_net.py has no nett; did you mean net\?",
    "my_net.py:NUMBER": "it is int, not a function",
    "nothing.of_this:net": "No module named 'nothing'",
    "broken.py:net": r"broken.py:2 \(in <module>\): NameError: name 'y' is not defined",
    "syntax.py:net": "syntax.py:2: SyntaxError: invalid syntax",
    "needs.py:net": r"needs.py:1 \(in <module>\): ModuleNotFoundError: No module named 'absent'",
}


@pytest.mark.parametrize("reference", WRONG)
@pytest.mark.slow
def test_what_cannot_be_loaded(reference: str, folder: Path) -> None:
    (folder / "broken.py").write_text("import os\nx = y\n")
    (folder / "syntax.py").write_text("x = 1\nx = = 2\n")
    (folder / "needs.py").write_text("import absent\n")
    with pytest.raises(UsageError, match=f"^--model={reference}: .*{WRONG[reference]}"):
        load(reference, "--model")
