"""The lines of predictions in each format."""

import csv
import io

from cnnlab.predict.rendering import FORMATS


def test_commas_and_quotes_in_csv() -> None:
    row = {"file": 'a,"b".png', "class": "x, y", "probability": 0.5}
    row["top"] = [{"class": "x, y", "probability": 0.5}]
    text = "".join(FORMATS["csv"]([row, row]))
    assert list(csv.reader(io.StringIO(text))) == [
        ["file", "class", "probability"],
        ['a,"b".png', "x, y", "0.5"],
        ['a,"b".png', "x, y", "0.5"],
    ]
