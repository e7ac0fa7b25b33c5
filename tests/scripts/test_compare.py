"""scripts/bench/compare.py with this checkout and itself, and with options."""

import json
from pathlib import Path

import pytest

from tests.commands import ROOT, start_python


@pytest.mark.slow
@pytest.mark.parametrize("task", ["train", "evaluate", "predict"])
def test_both_are_measured(task: str, tmp_path: Path) -> None:
    process = start_python(
        str(ROOT / "scripts/bench/compare.py"),
        *(str(ROOT), str(ROOT), "--dataset=shapes", f"--task={task}"),
        *("--rounds=2", "--secs=0.05"),
        cwd=tmp_path,
    )
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    first, second = json.loads(output)
    assert first["checkout"] == second["checkout"] == str(ROOT)
    assert first["times_as_fast"] == first["times_as_fast_best_tenth"] == 1
    for found in (first, second):
        assert 0 < found["best_tenth_us"] <= found["median_us"]
    assert second["times_as_fast"] == pytest.approx(
        first["median_us"] / second["median_us"], rel=0.2
    )


@pytest.mark.slow
def test_options_are_compared_on_one_checkout(tmp_path: Path) -> None:
    given = [{"batch_size": 8}, {"batch_size": 2048}]
    process = start_python(
        str(ROOT / "scripts/bench/compare.py"),
        *(str(ROOT), "--dataset=shapes", "--rounds=2", "--secs=0.05"),
        *(f"--options={json.dumps(options)}" for options in given),
        cwd=tmp_path,
    )
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    found = json.loads(output)
    assert [row["options"] for row in found] == given
    assert found[0]["median_us"] < found[1]["median_us"]
