"""The pages on performance and the record of measurements agree, and both are complete."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.commands import ROOT

FOLDER = ROOT / "docs" / "performance"
PAGES = sorted(FOLDER.glob("*.md"))
RECORD = ROOT / "results" / "experiments.csv"
COLUMNS = [
    "technique",
    "outcome",
    "change",
    "workload",
    "batch",
    "isa",
    "task",
    "ratio",
    "ratio_to",
    "ratio_best_tenth",
    "before",
    "before_to",
    "after",
    "after_to",
    "unit",
    "comparison",
    "rounds",
    "load",
    "machine",
    "commits",
    "command",
    "note",
]
ALWAYS = ("technique", "outcome", "change", "workload", "isa", "task", "comparison", "load")
NUMBERS = (
    "ratio",
    "ratio_to",
    "ratio_best_tenth",
    "before",
    "before_to",
    "after",
    "after_to",
    "batch",
    "comparison",
)
MACHINES = {
    "AMD EPYC family 26",
    "AMD EPYC family 25 model 17",
    "CPU with AVX2 only, model not recorded",
}
LONGEST_LINE = 300


def read_record() -> list[dict[str, str]]:
    with RECORD.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_has_its_columns() -> None:
    with RECORD.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    assert lines[0] == COLUMNS
    assert len(lines) > 500
    assert {len(line) for line in lines} == {len(COLUMNS)}


def test_rows_say_what_was_measured() -> None:
    for row in read_record():
        assert all(row[column] for column in ALWAYS), row
        assert row["machine"] in MACHINES, row
        assert row["outcome"] in ("used", "rejected", "observation"), row
        assert row["isa"] in ("native", "avx2", "any", "not recorded"), row
        assert row["load"] in ("quiet", "busy", "rough"), row
        assert row["ratio"] or row["after"], row
        assert bool(row["after"]) == bool(row["unit"]), row
        assert not row["before"] or row["after"], row
        assert re.fullmatch(r"([0-9a-f]{7}( [0-9a-f]{7})?)?", row["commits"]), row


def test_numbers_are_numbers() -> None:
    for row in read_record():
        for column in NUMBERS:
            if row[column]:
                assert float(row[column]) >= 0, row
        for low, high in (
            ("ratio", "ratio_to"),
            ("before", "before_to"),
            ("after", "after_to"),
        ):
            if row[high]:
                assert float(row[low]) < float(row[high]), row


def test_no_row_is_there_twice() -> None:
    counts = Counter(tuple(row.values()) for row in read_record())
    assert counts.most_common(1)[0][1] == 1


def test_every_technique_of_the_readme_has_rows() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|.*\]\(\w+\.md\) \|$", text, re.MULTILINE)
    assert len(named) >= 10
    used = {row["technique"] for row in read_record() if row["outcome"] == "used"}
    assert set(named) <= used


def test_the_columns_are_explained() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    missing = [name for name in COLUMNS if f"`{name}`" not in text and not name.endswith("_to")]
    assert not missing


def test_every_page_is_linked_from_the_readme() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\w+\.md)\)", text))
    assert linked == {page.name for page in PAGES} - {"README.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    # In code, in commands and in links, with or without a line's backticks around them.
    named = re.findall(r"\b((?:cnnlab|scripts|tests|docs|results)/[\w./]*\w)", text)
    links = re.findall(r"\]\(([^)#:]+)", text)
    for name in named:
        assert (ROOT / name).exists(), name
    for link in links:
        assert (FOLDER / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_are_short(page: Path) -> None:
    for line in page.read_text(encoding="utf-8").splitlines():
        assert len(line) <= LONGEST_LINE, line
