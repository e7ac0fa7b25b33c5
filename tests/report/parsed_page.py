"""A report's page, parsed."""

import base64
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """A parsed page. Tags that do not match fail.

    Attributes:
        tables: caption to rows of the cells' texts.
        images: (bytes, alternative text) of each picture.
        fetched: what a browser would load from elsewhere.
        tags: the names of all opening tags.
        attributes: for each tag, the names of its attributes.
        text: the text of the whole page.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.images: list[tuple[bytes, str]] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.attributes.append(list(given))
        assert not [name for name in given if name.startswith("on")]
        if tag == "img":
            kind, _, data = given["src"].partition(",")
            if kind == "data:image/png;base64":
                self.images.append((base64.b64decode(data, validate=True), given["alt"]))
            else:
                self.fetched.append(given["src"])
        elif given.get("src") or not given.get("href", "#").startswith("#"):
            self.fetched.append(str(given))
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
        if tag == "figcaption":
            self._caption = ""
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and self._open[-1] in ("td", "th"):
            self._rows[-1][-1] += data
        if self._open and self._open[-1] == "figcaption":
            self._caption += data

    def table(self, start: str) -> list[list[str]]:
        """Return the rows of the first table whose caption begins so."""
        return next(rows for caption, rows in self.tables.items() if caption.startswith(start))
