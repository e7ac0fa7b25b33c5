"""scripts/bench/scaling.py in a small run, on the data set that needs no files."""

import json
from pathlib import Path

import pytest

from tests.commands import ROOT, start_python

SCRIPT = ROOT / "scripts/bench/scaling.py"


@pytest.mark.slow
def test_tables_and_plots(tmp_path: Path) -> None:
    process = start_python(
        str(SCRIPT),
        *("--datasets=shapes,shapes", "--rounds=1", "--secs=0.05", "--turn_steps=10"),
        *("--sizes=500,1000", "--batches=1,8", f"--out={tmp_path}"),
        cwd=tmp_path,
    )
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    results = json.loads((tmp_path / "results/scaling.json").read_text(encoding="utf-8"))
    assert [row["images"] for row in results["sizes"]] == [500, 1000]
    assert all(row["images_per_sec"] > 0 for row in results["sizes"])
    for rows in results["batches"].values():
        for row in rows:
            assert row["images_per_sec"] == pytest.approx(row["batch_size"] * row["steps_per_sec"])
    for row in results["turns"]:
        time_of_steps = 500 * row["step_ms"]
        assert row["share"] == pytest.approx(row["cost_ms"] / (row["cost_ms"] + time_of_steps))
        assert 0 < row["share"] < 1
    assert results["starts"]["shapes"]["peak_mb"] > 100
    report = (tmp_path / "docs/scaling.md").read_text(encoding="utf-8")
    for name in ("scaling-data.png", "scaling-batch.png"):
        assert f"images/{name}" in report
        assert (tmp_path / "docs/images" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_wrong_option_is_refused(tmp_path: Path) -> None:
    process = start_python(str(SCRIPT), "--rounds=0", cwd=tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--rounds" in errors
    assert "Traceback" not in errors
