"""Every file that the documentation names is there."""

import re
from pathlib import Path

import pytest

from cnnlab.config.recipes import recipe_paths
from tests.commands import ROOT

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_project_are_there(page: Path) -> None:
    names = re.findall(
        r"`((?:cnnlab|scripts|tests|docs)/[\w/.]+)`", page.read_text(encoding="utf-8")
    )
    for name in names:
        assert (ROOT / name).exists(), name


def test_the_map_of_the_texts_names_recipes() -> None:
    rows = re.findall(r"^\|.*\|(.*)\|$", (ROOT / "docs" / "texts.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_0-9]+)`", row)}
    assert named
    assert named <= set(recipe_paths())
