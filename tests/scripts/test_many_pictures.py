"""scripts/bench/many_pictures.py: the graph holds no paths."""

from pathlib import Path

import pytest

from scripts.bench.many_pictures import make_pictures, measure


@pytest.mark.slow
def test_the_graph_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    found = []
    for count in (100, 1000):
        make_pictures(tmp_path, count)
        found.append(measure(tmp_path))
    few, many = found
    assert (few["pictures"], many["pictures"]) == (100, 1000)
    assert many["graph_bytes"] < 1_000_000
    assert abs(many["graph_bytes"] - few["graph_bytes"]) < 100
