"""The README is short, and its figures and the plan in CONTRIBUTING.md are up to date."""

import json
import re
from pathlib import Path

import pytest

from cnnlab.config.recipes import load_recipe
from tests.commands import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAX_LINES = 130
MAX_CHARACTERS = 300  # of a line that is not a row of a table
DATASETS = {"cifar10": "CIFAR-10", "mnist": "MNIST"}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MAX_LINES


def test_the_results_are_those_of_the_recipes() -> None:
    table = json.loads((ROOT / "results" / "reproduction.json").read_text(encoding="utf-8"))
    measured = {row["system"]: row for row in table}
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?)% \| (.*?)% \|$", README, re.MULTILINE)
    assert len(rows) == 5
    for recipe, dataset, claimed, reached in rows:
        row = measured[recipe]
        assert dataset == DATASETS[load_recipe(recipe)["dataset"]], recipe
        stated = row["claimed"] or row["aim"]
        aim = "aim " if row["claimed"] is None else ""
        assert claimed == f"{aim}{100 * stated:.2f}", recipe
        assert reached == f"{100 * row['reached']:.2f}", recipe


def test_the_plan_of_the_house_names_every_room_and_door() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    plan = text[text.index("    cnnlab/\n") :]
    plan = plan[: plan.index("\n\n")]
    package = ROOT / "cnnlab"
    for path in sorted(package.rglob("*.py")):
        if path.name == "__init__.py" and path.parent != package:
            assert f"{path.parent.name}/" in plan, path
        elif path.parent == package:
            assert path.name in plan, path
    assert set(re.findall(r"(\w+)/ ", plan)) <= {path.name for path in package.rglob("*")}


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], ids=lambda page: page.name
)
def test_lines_can_be_read(page: Path) -> None:
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        assert len(line) <= MAX_CHARACTERS or line.startswith("|"), f"line {number}"
