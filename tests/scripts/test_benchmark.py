"""scripts/benchmark.py in a small run, on the data set that needs no files."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands import ROOT, start_python

SCRIPT = ROOT / "scripts" / "benchmark.py"
TENSORFLOW = "cnnlab,plain,keras,keras-expert-jit,tf-function,tf-function-expert"
TORCH = "torch,torch-expert"


def run(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code and stderr."""
    process = start_python(str(SCRIPT), f"--out={folder / 'out'}", *words, cwd=folder)
    _, errors = process.communicate(timeout=600)
    return process.returncode, errors


@pytest.mark.slow
def test_contestants_of_every_framework_compute_the_same_and_are_measured(tmp_path: Path) -> None:
    has_torch = importlib.util.find_spec("torch") is not None
    names = f"{TENSORFLOW},{TORCH}" if has_torch else TENSORFLOW
    code, errors = run(
        tmp_path,
        *("--workloads=shapes", "--rounds=1", "--secs=0.2", "--warmup_secs=0"),
        f"--contestants={names}",
    )
    assert code == 0, errors
    results: dict[str, Any] = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    measured = results["workloads"]["shapes"]
    assert set(measured) == set(names.split(","))
    for result in measured.values():
        assert result["summary"]["images_per_sec"]["median"] > 0
        assert result["summary"]["evaluated_per_sec"]["median"] > 0
        assert result["summary"]["predicted_per_sec"]["median"] > 0
    losses = results["losses"]["shapes"]["losses"]
    assert len(set(losses["cnnlab"])) == 10, "the weights did not change"
    for name, found in losses.items():
        assert found == pytest.approx(losses["cnnlab"], rel=1e-4), name
    report = (tmp_path / "out.md").read_text(encoding="utf-8")
    installed, expert = report.split("As an expert would set it up:")
    assert "`keras`" in installed
    assert "`keras`" not in expert
    assert "`tf-function-expert`" in expert
    assert "`cnnlab`" in installed
    assert "`cnnlab`" in expert


def test_unknown_names_are_refused_at_once(tmp_path: Path) -> None:
    code, errors = run(tmp_path, "--leagues=instaled")
    assert code == 2
    assert "unknown instaled; of installed,expert" in errors
    assert "Traceback" not in errors


@pytest.fixture
def bench_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    for name in [name for name in sys.modules if name == "bench" or name.startswith("bench.")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("bench_on_path")
def test_multiply_adds_are_those_of_the_layers() -> None:
    """Counted anew from the list of layers, without bias, normalization and activation."""
    networks = importlib.import_module("bench.networks")
    workloads = importlib.import_module("bench.workloads")

    def count(layers: Any, shape: tuple[int, ...]) -> tuple[list[int], tuple[int, ...]]:
        found: list[int] = []
        for layer in layers:
            match layer:
                case networks.Conv():
                    padding = 2 * (layer.side // 2) if layer.is_padded else 0
                    height, width = (
                        (n + padding - layer.side) // layer.stride + 1 for n in shape[:2]
                    )
                    macs = height * width * layer.side**2 * shape[2] * layer.filters
                    found, shape = [*found, macs], (height, width, layer.filters)
                case networks.Dense():
                    found, shape = [*found, shape[0] * layer.units], (layer.units,)
                case networks.MaxPool():
                    shape = (shape[0] // 2, shape[1] // 2, shape[2])
                case networks.Flatten():
                    shape = (shape[0] * shape[1] * shape[2],)
                case networks.GlobalMax() | networks.GlobalMean():
                    shape = (shape[2],)
                case networks.Residual():
                    inner, shape = count(layer.layers, shape)
                    found += inner
        return found, shape

    for name, workload in workloads.WORKLOADS.items():
        size = (28, 28, 1) if workload.dataset == "mnist" else (32, 32, 3)
        macs, shape = count(workload.layers, size)
        assert shape == (10,)
        assert macs[0] == workload.first_layer_macs, name
        assert sum(macs[1:]) == workload.other_macs, name


@pytest.mark.usefixtures("bench_on_path")
def test_held_to_avx2_tensorflow_keeps_onednn_off_unless_somebody_turns_it_on() -> None:
    known = importlib.import_module("bench.contestants").CONTESTANTS
    chosen = {name: known[name].environment({}, "avx2") for name in known}
    assert {name: inside.get("TF_ENABLE_ONEDNN_OPTS") for name, inside in chosen.items()} == {
        **dict.fromkeys(known, "0"),
        "cnnlab": None,  # it does so itself
        **{name: "1" for name in known if known[name].onednn == "1"},
    }
    assert {inside["ONEDNN_MAX_CPU_ISA"] for inside in chosen.values()} == {"AVX2"}
    assert "ONEDNN_MAX_CPU_ISA" not in known["cnnlab"].environment({})


@pytest.mark.usefixtures("bench_on_path")
def test_the_overview_names_the_fastest_other_of_each_league() -> None:
    overview = importlib.import_module("bench.report").overview

    def measured(speed: float) -> dict[str, Any]:
        numbers = {"images_per_sec": speed, "evaluated_per_sec": 10 * speed, "setup_secs": 5.04}
        numbers["predicted_per_sec"] = 20 * speed
        summary = {name: {"median": value} for name, value in (*numbers.items(), ("peak_mb", 800))}
        return {"summary": summary, "share_of_matmul": 0.5}

    speeds = {"cnnlab": 300, "plain": 100, "keras": 200, "keras-expert": 150, "torch-expert": 50}
    results = {
        "machine": {"cpu": "C", "cpu_features": [], "cores": 2, "ram_gb": 4, "system": "S"},
        "versions": {},
        "date": "2026-01-01",
        "isa": "native",
        "matmul_gflops": 100.0,
        "rounds": 1,
        "secs": 1.0,
        "warmup_secs": 0.0,
        "leagues": ["installed", "expert"],
        "missing": {},
        "losses": {"shapes": {"largest_difference": None}},
        "workloads": {"shapes": {name: measured(speed) for name, speed in speeds.items()}},
    }
    training, evaluation, prediction = overview(results).splitlines()[-3:]
    cells = "| `shapes`, 100 | training | 300 | `keras` 200 | 1.50 times | `keras-expert` 150 | "
    assert training == f"{cells}2.00 times | 50% | 5.0 | 800 |"
    assert "evaluation | 3000 | `keras` 2000 | 1.50 times |" in evaluation
    assert "prediction | 6000 | `keras` 4000 | 1.50 times |" in prediction
