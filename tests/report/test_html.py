"""The pieces of the page."""

from cnnlab.report import html


def test_escaped() -> None:
    assert html.escaped("""<a href="x" title='y'>&""") == (
        "&lt;a href=&quot;x&quot; title=&#x27;y&#x27;&gt;&amp;"
    )
    assert html.escaped("\udcff") == r"\udcff"  # a file name that is no UTF-8


def test_numbers() -> None:
    assert [html.shown(value) for value in (1234567, 0.5, None, "x")] == [
        *("1,234,567", "0.5000", "–", "x")
    ]


def test_table() -> None:
    rows = [("<a>", 1, 0.25, "x"), ("b", 2, None, "y")]
    text = html.table(("name", "n", "share", "note"), rows, "Caption", totals=("all", 3, 1.0, ""))
    assert '<th scope="col">name</th><th scope="col" class="n">n</th>' in text
    assert '<th scope="row">&lt;a&gt;</th><td class="n">1</td><td class="n">0.2500</td>' in text
    assert '<td class="n">–</td><td>y</td>' in text
    assert '<tfoot><tr><th scope="row">all</th><td class="n">3</td>' in text
    assert "<caption>Caption</caption>" in text
    assert html.table(("a", "b"), [], "empty").count("<tr>") == 1


def test_the_page_fetches_nothing() -> None:
    page = html.page("<title>", "body")
    assert "<title>&lt;title&gt;</title>" in page
    assert "default-src 'none'; img-src data:" in page
    assert html.MARK in page
