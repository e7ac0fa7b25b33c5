"""The templates: escaping, tables, and a page that loads nothing."""

import dataclasses
import importlib.resources
import re
import sys
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError
from cnnlab.report import page
from cnnlab.report.page import (
    Comparison,
    Filters,
    HeadPage,
    Picture,
    ReportPage,
    RunPage,
    StudiedTiles,
    Table,
    render,
)
from cnnlab.report.tiles import Tile
from tests.report.parsed_page import Page

EVIL = (
    "</style></title><script>alert(1)</script><img src=x onerror='alert(1)'>"
    '"\' onload="x {{ 7*7 }}'
)
PLAIN = "plain"


def run_page(text: str) -> RunPage:
    """A page with all sections, where every text is `text`."""
    tile = Tile(np.zeros((2, 2, 3), np.uint8), (text, text))
    table = Table((text, text), [(text, text), (text, 1)], (text, None))
    picture = Picture(b"png", text, 10)
    values: dict[str, Any] = {
        **dict.fromkeys(("save_dir", "model", "dataset", "split", "sampling", "cam_layer"), text),
        **dict.fromkeys(("subject", "evidence"), text),
        "figures": [(text, 0.5)],
        "targets": "classes",
        **dict.fromkeys(("steps_made", "total_steps", "step", "num_images"), 1234567),
        **dict.fromkeys(("parameters", "fixed_parameters", "flops"), 10),
        **dict.fromkeys(("most_confused", "classes", "balance", "layers"), table),
        **dict.fromkeys(("changed_options", "options", "versions"), table),
        "mistakes": [tile],
        "least_sure": [tile],
        "is_finished": True,
        "curves": [picture],
        "confusion": picture,
        "heads": [],
        "slices": [tile],
        "filters": Filters(text, 3, 2, text, True, True, [tile]),
        "studied": [StudiedTiles(text, [tile], [tile])],
    }
    return RunPage(**values)


def pages(text: str) -> list[ReportPage]:
    """Both kinds of page, of one run and of several."""
    run = run_page(text)
    head = HeadPage(text, [(text, 0.5)], Picture(b"png", text, 10), run.classes, run.classes)
    other = dataclasses.replace(
        run, filters=Filters(text, 3, 3, text, False, False, []), heads=[head]
    )
    figures = Table((text, text), [(text, text)])
    compared = Comparison(text, figures, [Picture(b"png", text)], figures)
    return [ReportPage(text, [run], None), ReportPage(text, [run, other], compared)]


def parsed(report: ReportPage, folder: Path) -> Page:
    path = folder / "report.html"
    path.write_text(render(report), encoding="utf-8")
    return Page(path)


@pytest.mark.parametrize("kind", [0, 1], ids=["one run", "two runs"])
def test_no_text_becomes_markup(kind: int, tmp_path: Path) -> None:
    """Text from runs, class names and file names changes neither tags nor attributes."""
    harmless = parsed(pages(PLAIN)[kind], tmp_path)
    hostile = parsed(pages(EVIL)[kind], tmp_path)
    assert hostile.tags == harmless.tags
    assert hostile.attributes == harmless.attributes
    assert hostile.fetched == []
    assert hostile.text == harmless.text.replace(PLAIN, EVIL)
    assert {alt for _, alt in hostile.images} == {EVIL, f"{EVIL}, {EVIL}"}
    assert "<script" not in render(pages(EVIL)[kind])


def test_nothing_is_marked_as_safe() -> None:
    """So that all text of the templates' data is escaped."""
    folder = importlib.resources.files("cnnlab.report") / "templates"
    sources = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert "report.css" in sources
    assert len(sources) > 3
    for name, source in sources.items():
        assert not re.search(r"\|\s*(safe|xmlattr)|autoescape|Markup", source), name
        assert not re.search(r"=\{\{", source), f"{name} has an attribute without quotes"


def test_escaping_in_text_and_attributes() -> None:
    text = """<a href="x" title='y'>&"""
    html = render(pages(text)[0])
    escaped = "&lt;a href=&#34;x&#34; title=&#39;y&#39;&gt;&amp;"
    assert f"<title>{escaped}</title>" in html
    assert f'alt="{escaped}"' in html
    assert text not in html


def test_a_file_name_that_is_not_utf8() -> None:
    assert r"<title>run\udcff</title>" in render(
        ReportPage("run\udcff", pages(PLAIN)[0].runs, None)
    )


def test_numbers() -> None:
    assert [page.shown(value) for value in (1234567, 0.5, None, "x")] == [
        *("1,234,567", "0.5000", "–", "x")
    ]


def test_tables() -> None:
    rows = [("<a>", 1, 0.25, "x"), ("b", 2, None, "y")]
    table = Table(("name", "n", "share", "note"), rows, ("all", 3, 1.0, ""))
    assert table.numeric == [False, True, True, False]
    run = dataclasses.replace(run_page(PLAIN), layers=table, versions=Table(("a", "b"), []))
    html = render(ReportPage("title", [run], None))
    assert '<th scope="col">name</th><th scope="col" class="n">n</th>' in html
    assert '<th scope="row">&lt;a&gt;</th><td class="n">1</td><td class="n">0.2500</td>' in html
    assert '<td class="n">–</td><td>y</td>' in html
    assert '<tfoot><tr><th scope="row">all</th><td class="n">3</td>' in html
    assert re.search(r"<th scope=\"col\">b</th></tr>\s*</thead>\s*<tbody>\s*</tbody>", html)


def test_many_classes_are_folded(tmp_path: Path) -> None:
    rows = [(f"class {number}", number) for number in range(21)]
    few, many = Table(("class", "n"), rows[:20]), Table(("class", "n"), rows)
    texts = []
    for table in (few, many):
        run = dataclasses.replace(run_page(PLAIN), classes=table)
        texts.append(parsed(ReportPage("title", [run], None), tmp_path).text)
    assert "20 classes" not in texts[0]
    assert "21 classes" in texts[1]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    run = dataclasses.replace(
        run_page(PLAIN),
        curves=[],
        mistakes=[],
        studied=[],
        filters=None,
        cam_layer=None,
        flops=None,
        is_finished=False,
    )
    text = parsed(ReportPage("title", [run], None), tmp_path).text
    assert "Nothing has been logged yet." in text
    assert "The network classified all images correctly." in text
    assert "The first layer with weights does not see the image." in text
    assert text.count("No image was chosen.") == 2
    assert "not finished: 1,234,567 of 1,234,567 steps made" in text


def test_the_page_loads_nothing() -> None:
    html = render(pages(PLAIN)[0])
    assert "default-src 'none'; img-src data:" in html
    assert page.MARK in html
    assert "url(" not in html
    assert "@import" not in html


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="no attribute"):
        render(ReportPage("title", [object()], None))  # type: ignore[list-item]


def test_without_jinja(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(CnnlabError, match=r"needs Jinja2: pip install 'cnnlab\[report\]'"):
        page.require_jinja()
