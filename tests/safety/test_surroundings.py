"""Whatever a program has set in TensorFlow, cnnlab computes the same bits."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import ROOT, finish, start
from tests.safety.surroundings import BLOCKS, SETTINGS

# With deterministic operations, TensorFlow itself computes the loss with other operations.
OTHER_BITS = ("op_determinism", "TF_DETERMINISTIC_OPS")


def computed(name: str, folder: Path) -> dict[str, Any]:
    """Run the program in its own process; return what its runs computed."""
    options = {name: "1"} if name.startswith("TF_") else {}
    found = finish(start("tests.safety.surroundings", name, cwd=folder, **options), folder)
    assert found.code == 0, found.stderr
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return computed("nothing", tmp_path_factory.mktemp("nothing"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [name for name in (*SETTINGS, *BLOCKS) if name not in (*OTHER_BITS, "nothing")],
)
def test_every_surrounding_has_the_same_bits(
    name: str, expected: dict[str, Any], tmp_path: Path
) -> None:
    assert computed(name, tmp_path) == expected


@pytest.mark.slow
def test_deterministic_operations(tmp_path: Path) -> None:
    by_variable = computed("TF_DETERMINISTIC_OPS", tmp_path)
    assert by_variable.keys() == {"plain", "compiled", "commands"}


@pytest.mark.slow
def test_both_ways_to_determinism_are_one(tmp_path: Path) -> None:
    by_variable = computed("TF_DETERMINISTIC_OPS", tmp_path)
    assert computed("op_determinism", tmp_path) == by_variable


@pytest.mark.parametrize(
    ("call", "home"),
    [(".as_default()", "base/surroundings.py"), ("tf.Session(target", "base/tf1.py")],
)
def test_one_home(call: str, home: str) -> None:
    package = ROOT / "cnnlab"
    users = [path for path in package.rglob("*.py") if call in path.read_text(encoding="utf-8")]
    assert [path.relative_to(package).as_posix() for path in users] == [home]
