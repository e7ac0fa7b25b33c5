"""scripts/bench/workers.py: its model of the time of a sum, and a small run."""

import json
from pathlib import Path

import pytest

from scripts.bench import workers_report
from scripts.bench.workers_report import Link, ring_secs, traffic, tree_secs
from tests.commands import ROOT, start_python

SCRIPT = ROOT / "scripts/bench/workers.py"
SHORT = ("--rounds=2", "--secs=0.05", "--batch_size=8")


def test_traffic_of_a_worker() -> None:
    gather = {"kind": "CollectiveGatherV2", "n": 100, "bytes": 4}
    pieces = [
        {"kind": "CollectiveAllToAllV2", "n": 100, "bytes": 4},
        {"kind": "CollectiveGatherV2", "n": 25, "bytes": 4},
    ]
    ring = {"kind": "CollectiveReduceV2", "n": 100, "bytes": 4}
    assert traffic([gather], 2) == (1, 400)
    assert traffic([ring], 2) == (2, 400)
    assert traffic(pieces, 4) == (6, 600) == traffic([ring], 4)


def test_the_model_of_a_sum() -> None:
    link = Link(latency_secs=1.0, bytes_per_sec=1.0)
    assert tree_secs(2, 8, link) == 1 + 8
    assert tree_secs(4, 8, link) == (1 + 3 * 2) + 3 * (1 + 2)
    assert ring_secs(4, 8, link) == 6 * (1 + 2)


@pytest.mark.slow
def test_results_and_page(tmp_path: Path) -> None:
    process = start_python(
        str(SCRIPT),
        *("--rounds=1", "--secs=0.05", "--batch_size=8", f"--out={tmp_path}"),
        cwd=tmp_path,
    )
    output, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    results = json.loads((tmp_path / "results/workers.json").read_text(encoding="utf-8"))
    weights = results["parameters"]["cifar_cnn"]
    for name, workers in (("cifar_cnn tree", 2), ("cifar_cnn ring", 2), ("cifar_cnn four-tree", 4)):
        _, sent = traffic(results["exchanges"][name], workers)
        assert sent == pytest.approx(2 * (workers - 1) / workers * 4 * weights, rel=1e-3)
    assert "## Several workers" in output
    for line in workers_report.lines_of(results):
        assert line in output


@pytest.mark.slow
def test_overlap_of_sums_and_the_backward_pass(tmp_path: Path) -> None:
    script = ROOT / "scripts/bench/overlap.py"
    process = start_python(str(script), *SHORT, f"--out={tmp_path}", cwd=tmp_path)
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    results = json.loads((tmp_path / "results/overlap.json").read_text(encoding="utf-8"))
    assert all(results["ms"][kind] > 0 for kind in ("own steps", "one buffer", "two buffers"))
    assert results["more_than_one_buffer_ms"]["one buffer"] == [0, 0, 0]
