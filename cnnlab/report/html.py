"""The pieces of the page: escaped text, tables, pictures inside the file, and the frame."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from cnnlab.base.version import __version__
from cnnlab.report.tiles import Tile, png_bytes

GENERATOR = "cnnlab report"  # by this a report is known again
MARK = f'<meta name="generator" content="{GENERATOR}">'

Cell = str | int | float | None

_STYLE = """
:root { color-scheme: light dark; --line: #d5d9e0; --soft: #f3f5f8; --text: #1c2430;
  --dim: #5b6675; --page: #fff; --accent: #1f6feb; }
@media (prefers-color-scheme: dark) { :root { --line: #333b47; --soft: #1b2129; --text: #e4e8ee;
  --dim: #9aa5b4; --page: #12161c; --accent: #79b0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1160px; padding: 1rem; background: var(--page);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; padding-bottom: .3rem;
  border-bottom: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; max-width: 75ch; }
a { color: var(--accent); }
.dim, figcaption, caption { color: var(--dim); font-size: .87rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; list-style: none; }
.scroll { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: break-word; max-width: 24rem; }
thead th { background: var(--soft); white-space: nowrap; }
tbody th { font-weight: 600; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tfoot th, tfoot td { border-top: 2px solid var(--line); font-weight: 600; }
figure { margin: 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
  gap: 1rem; }
figure.plot img { width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 6px; }
.matrix img { height: auto; background: #fff; border: 1px solid var(--line); border-radius: 6px; }
.sides { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: flex-start; }
.sides > * { max-width: 100%; }
.groups { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr));
  gap: 1rem; }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; margin: .5rem 0; }
.tiles figure { width: 136px; }
.tiles.wide figure { width: auto; max-width: 100%; }
.tiles img { display: block; width: 136px; height: auto; image-rendering: pixelated;
  border: 1px solid var(--line); border-radius: 4px; }
.tiles.wide img { width: auto; max-width: 100%; }
.tiles figcaption { margin-top: .25rem; line-height: 1.35; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: .7rem;
  margin: 1rem 0; }
.key div { background: var(--soft); border-radius: 6px; padding: .5rem .8rem; }
.key dt { color: var(--dim); font-size: .82rem; }
.key dd { margin: 0; font-size: 1.25rem; font-weight: 600; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); }
@media (max-width: 480px) { .tiles { gap: .7rem; } .tiles figure, .tiles img { width: 112px; } }
details { margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
"""


def escaped(text: str) -> str:
    """Text as it may stand in the page and inside attributes, whatever is in it."""
    return html.escape(text.encode("utf-8", "backslashreplace").decode("utf-8"), quote=True)


def shown(value: Cell) -> str:
    """A value as the page shows it: fractions with four digits, integers in groups of three."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else value


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    caption: str,
    *,
    totals: Sequence[Cell] = (),
) -> str:
    """A table whose first column names the rows; numbers stand to the right.

    Args:
        headings: one for each column.
        rows: as many cells in each.
        caption: says what the table is.
        totals: the last row, if there is one.
    """
    columns = zip(*rows, strict=True)
    numeric = [
        any(isinstance(cell, int | float) for cell in column)
        and not any(isinstance(cell, str) for cell in column)
        for column in columns
    ] or [False] * len(headings)

    marks = [' class="n"' if is_number else "" for is_number in numeric]

    def line(cells: Sequence[Cell]) -> str:
        texts = [escaped(shown(cell)) for cell in cells]
        first = f'<th scope="row"{marks[0]}>{texts[0]}</th>'
        rest = [f"<td{mark}>{text}</td>" for mark, text in zip(marks[1:], texts[1:], strict=True)]
        return f"<tr>{first}{''.join(rest)}</tr>"

    head = "".join(
        f'<th scope="col"{mark}>{escaped(heading)}</th>'
        for mark, heading in zip(marks, headings, strict=True)
    )
    foot = f"<tfoot>{line(totals)}</tfoot>" if totals else ""
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{escaped(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{chr(10).join(line(row) for row in rows)}"
        f"</tbody>{foot}</table></div>"
    )


def key_figures(figures: Sequence[tuple[str, Cell]]) -> str:
    """A few figures that stand out: (what, value)."""
    items = "".join(
        f"<div><dt>{escaped(what)}</dt><dd>{escaped(shown(value))}</dd></div>"
        for what, value in figures
    )
    return f'<dl class="key">{items}</dl>'


def image(png: bytes, alt: str, width: int | None = None) -> str:
    """A picture inside the file; width in pixels, its own unless given."""
    data = base64.b64encode(png).decode("ascii")
    wide = f' style="width:{width}px"' if width else ""
    return f'<img src="data:image/png;base64,{data}" alt="{escaped(alt)}"{wide}>'


def plots(pictures: Sequence[tuple[bytes, str]]) -> str:
    """Plots side by side where there is room: (PNG, what it shows)."""
    figures = [f'<figure class="plot">{image(png, alt)}</figure>' for png, alt in pictures]
    return f'<div class="plots">{"".join(figures)}</div>'


def matrix(png: bytes, alt: str, width: int) -> str:
    """A large picture that is moved sideways rather than made small."""
    return f'<div class="scroll matrix" tabindex="0">{image(png, alt, width)}</div>'


def sides(*parts: str) -> str:
    """Parts beside each other where there is room."""
    return f'<div class="sides">{"".join(parts)}</div>'


def groups(parts: Sequence[str]) -> str:
    """Rows of tiles beside each other where there is room."""
    return f'<div class="groups">{"".join(parts)}</div>'


def tiles(items: Sequence[Tile], *, wide: bool = False) -> str:
    """Small pictures with captions, as many in a row as there is room for."""
    figures = [
        f"<figure>{image(png_bytes(tile.pixels), ', '.join(tile.caption))}"
        f"<figcaption>{'<br>'.join(map(escaped, tile.caption))}</figcaption></figure>"
        for tile in items
    ]
    return f'<div class="tiles{" wide" if wide else ""}">{"".join(figures)}</div>'


def paragraph(text: str, *, dim: bool = False) -> str:
    """A paragraph of plain text."""
    mark = ' class="dim"' if dim else ""
    return f"<p{mark}>{escaped(text)}</p>"


def page(title: str, body: str) -> str:
    """The whole file. Nothing in it is fetched: a browser is told to refuse to."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{MARK}
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
{body}
<footer>{paragraph(f"Written by cnnlab {__version__}.", dim=True)}</footer>
</body>
</html>
"""
