"""The source follows the import rules in CONTRIBUTING, "The house"."""

import ast
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "cnnlab"
ROOMS = ("base", "config", "data", "layers", "models", "graph", "run")  # from the ground up
DOORS = (
    *("train", "predict", "evaluate", "report", "export", "tune", "reproduce", "catalogue"),
    *("bottleneck", "launch", "checkpoint", "port", "run_tf1"),
    "__main__",
)
SEES_TRAIN = ("bottleneck", "tune", "reproduce")
SEES_KERNELS = ("graph.step", "graph.compiled_steps")
REPEATED_STEMS = {"__init__", "__main__", "hooks", "options"}
MAX_ENTRIES = 22
MAX_LINES = 300
ONLY_HOMES = {
    "tensorflow": "base.tf1",
    "tf_keras": "base.tf1",
    "fire": "config.cli",
    "rich": "config.terminal",
}


def module_name(path: Path) -> str:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}  # "" is the face


def imported_by(name: str) -> list[str]:
    """Return every module that a file imports, for types and inside functions too."""
    found = []
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            assert node.module is not None
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def target_of(imported: str) -> str | None:
    """Return the key of `FILES` that an import reads; None: another package."""
    if imported != "cnnlab" and not imported.startswith("cnnlab."):
        return None
    name = imported.removeprefix("cnnlab").removeprefix(".")
    return name if name in FILES else name.rpartition(".")[0]


ARROWS = {
    name: {
        target
        for imported in imported_by(name)
        if (target := target_of(imported)) is not None and target != name
    }
    for name in FILES
}


def room_of(name: str) -> str:
    return name.partition(".")[0]


def is_door(name: str) -> bool:
    return room_of(name) in DOORS or name == "data.__main__"


def why_forbidden(source: str, target: str) -> str | None:
    """Return the rule that an import breaks; None: it is allowed."""
    here, there = room_of(source), room_of(target)
    if target == "":
        return "nothing imports the face"
    if target.startswith("layers.kernels") and here != "layers" and source not in SEES_KERNELS:
        return "only layers and the training step see the kernels"
    if here == there:
        return None
    if there in DOORS:
        if there == "train" and here in SEES_TRAIN:
            return None
        return "no door is imported, but train by bottleneck, tune and reproduce"
    if is_door(source):
        return None
    if {here, there} == {"data", "layers"}:
        return "data and layers never meet"
    if ROOMS.index(there) > ROOMS.index(here):
        return "imports go downwards"
    return None


def test_files_import_what_their_rooms_may() -> None:
    arrows = [(name, target) for name in FILES if name for target in ARROWS[name]]
    forbidden = {arrow: why for arrow in arrows if (why := why_forbidden(*arrow))}
    assert forbidden == {}


def test_the_rules_forbid_something() -> None:
    assert why_forbidden("data.batches", "layers.tower") == "data and layers never meet"
    assert why_forbidden("base.files", "run.loop") == "imports go downwards"
    assert why_forbidden("run.hooks", "") == "nothing imports the face"
    assert why_forbidden("run.session", "layers.kernels.dense") is not None
    assert why_forbidden("evaluate", "train") is not None
    assert why_forbidden("tune", "train") is None


def test_there_are_no_circles() -> None:
    left = {name: set(targets) for name, targets in ARROWS.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"import each other in a circle, or a file that does: {sorted(left)}"


def test_every_arrow_ends_at_a_file() -> None:
    assert {target for targets in ARROWS.values() for target in targets} <= FILES.keys()


def test_no_two_files_have_one_stem() -> None:
    stems = Counter(path.stem for path in FILES.values())
    assert {stem for stem, count in stems.items() if count > 1} <= REPEATED_STEMS


def test_the_ground_floor_has_few_entries() -> None:
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MAX_ENTRIES
    assert {*ROOMS, "data"} <= {*entries}


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {
        name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in FILES.items()
    }
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


@pytest.mark.parametrize("package", ONLY_HOMES)
@pytest.mark.slow
def test_one_file_knows_a_package(package: str) -> None:
    users = {name for name in FILES if package in {i.partition(".")[0] for i in imported_by(name)}}
    assert users <= {ONLY_HOMES[package]}
