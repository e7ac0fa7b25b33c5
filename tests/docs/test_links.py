"""Every file that the documentation names is there."""

import re
from pathlib import Path

import pytest

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
