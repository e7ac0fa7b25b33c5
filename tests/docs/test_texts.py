"""docs/texts.md names every program and every recipe, and what it names is there."""

import json
import re

from cnnlab.config import commands as console
from cnnlab.config.recipes import load_about, recipe_paths
from scripts import pages
from tests.commands import ROOT

TEXT = (ROOT / "docs" / "texts.md").read_text(encoding="utf-8")
LETTERS = "ABCDEFGHIJKLMNOP"
SECTIONS = dict(re.findall(r"^## (\w+)(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("|") and not re.match(r"\|(---| idea)", line)
]


def test_every_program_of_the_texts_has_its_section() -> None:
    for heading in (*LETTERS, "Records"):
        assert f"\n## {heading}" in TEXT, heading
        assert "\n| idea | code | recipe, option or command | guide |" in SECTIONS[heading]


def test_every_recipe_is_in_the_section_of_its_text() -> None:
    for name in recipe_paths():
        text = load_about(name)["text"]
        section = SECTIONS["Records" if text == "records" else text]
        assert f"`{name}`" in section, f"{name} is missing in section {text} of docs/texts.md"


def test_every_idea_names_code_and_a_way_to_see_it() -> None:
    assert len(ROWS) > 60
    for idea, code, shown, guide in ROWS:
        paths = re.findall(r"`((?:cnnlab|scripts)/[\w/.]+)`", code)
        assert paths, idea
        for path in paths:
            assert (ROOT / path).is_file(), path
        assert shown or guide, idea


def test_recipes_options_and_commands_exist() -> None:
    options = {
        f"--{name}"
        for command in pages.COMMANDS
        for description in pages.describe(command.options).values()
        for name in (description.flag[2:].partition("=")[0], *description.aliases)
    }
    for idea, _code, shown, _guide in ROWS:
        for token in re.findall(r"`([^`]+)`", shown):
            words = token.split()
            if words[0] == "cnnlab":
                assert words[1] in (*console.COMMANDS, *console.CATALOGUES), idea
            elif not token.startswith("--"):
                assert token in recipe_paths(), idea
            for word in words:
                if word.startswith("--"):
                    assert word.partition("=")[0] in options, idea


def test_guides_have_the_named_chapters() -> None:
    for page, anchor in re.findall(r"\]\(([\w/.]+)(?:#([\w-]+))?\)", TEXT):
        assert (ROOT / "docs" / page).is_file(), page
        if anchor:
            text = (ROOT / "docs" / page).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in anchors, f"{page}#{anchor}"


def test_recipes_without_a_row_in_the_table_are_named_as_missing() -> None:
    rows = json.loads((ROOT / "results" / "reproduction.json").read_text(encoding="utf-8"))
    missing = TEXT.split("## What is not there")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", missing)) & set(recipe_paths())
    assert named == set(recipe_paths()) - {row["system"] for row in rows}
