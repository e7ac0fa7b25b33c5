"""The page that `cnnlab data check --html` writes: each fault with its pictures."""

from __future__ import annotations

import base64
import html
import io
import itertools
from collections.abc import Sequence
from typing import Final

from PIL import Image

from cnnlab.base.errors import DataError
from cnnlab.data.folders.checking import MUST_REPAIR, Checked, Fault
from cnnlab.data.image_files.images import read_image, unwarned
from cnnlab.data.image_files.resizing import Resizing

_SIDE: Final = 112  # pixels of a picture on the page
_MOST_FAULTS: Final = 100  # of one kind
_MOST_PICTURES: Final = 8  # of one fault
_HEAD: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Pictures</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 style-src 'unsafe-inline'">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em;
 color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: .2em .8em; text-align: right }
th:first-child, td:first-child { text-align: left } tr:nth-child(even) { background: #f3f3f3 }
figure { display: inline-block; margin: .4em; width: 160px; vertical-align: top; font-size: 12px;
 overflow-wrap: anywhere } figure img { max-width: 112px; border: 1px solid #ccc }
.must { color: #a00 }
</style>
"""


def check_page(path: str, checked: Checked) -> str:
    """Return the page, which needs no other file.

    Args:
        path: the folder or list that was checked.
        checked: the outcome.
    """
    parts = [_HEAD, f"<h1>{html.escape(path)}</h1>", _counts(checked)]
    if not checked.faults:
        parts.append("<p>No faults were found.</p>")
    with unwarned():
        for kind, faults in itertools.groupby(checked.faults, key=lambda fault: fault.kind):
            parts.append(_section(kind, list(faults)))
    return "\n".join(parts) + "\n</html>\n"


def _counts(checked: Checked) -> str:
    splits = checked.facts["splits"]
    labels = sorted({label for counts in splits.values() for label in counts})
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("class", *splits))
    rows = "".join(
        f"<tr><td>{html.escape(label)}</td>"
        + "".join(f"<td>{counts.get(label, 0)}</td>" for counts in splits.values())
        + "</tr>"
        for label in labels
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _section(kind: str, faults: Sequence[Fault]) -> str:
    style = ' class="must"' if kind in MUST_REPAIR else ""
    parts = [f"<h2{style}>{kind.replace('_', ' ')}: {len(faults)}</h2>"]
    for fault in faults[:_MOST_FAULTS]:
        shown = "".join(_figure(file) for file in fault.files[:_MOST_PICTURES])
        parts.append(f"<p>{html.escape(fault.text)}</p>{shown}")
    if len(faults) > _MOST_FAULTS:
        parts.append(f"<p>and {len(faults) - _MOST_FAULTS} more</p>")
    return "\n".join(parts)


def _figure(file: str) -> str:
    """Return a picture and its path; only the path if it cannot be read."""
    caption = f"<figcaption>{html.escape(file)}</figcaption>"
    try:
        pixels = read_image(file, (_SIDE, _SIDE, 3), Resizing("pad"))
    except DataError:
        return f"<figure>{caption}</figure>"
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=80)
    data = base64.b64encode(content.getvalue()).decode("ascii")
    return f'<figure><img alt="" src="data:image/jpeg;base64,{data}">{caption}</figure>'
