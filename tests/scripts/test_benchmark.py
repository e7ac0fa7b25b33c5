"""scripts/bench/benchmark.py in a small run, on the data set that needs no files."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.bench import networks
from scripts.bench.contestants import CONTESTANTS
from scripts.bench.report import overview, section, summarize
from scripts.bench.results import machine_slug, read_newest, write
from scripts.bench.workloads import WORKLOADS
from tests.commands import ROOT, start_python

SCRIPT = ROOT / "scripts/bench/benchmark.py"
TENSORFLOW = "cnnlab,plain,keras,keras-expert-jit,tf-function,tf-function-expert"
TORCH = "torch,torch-expert"


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr."""
    process = start_python(str(SCRIPT), f"--out={folder / 'out'}", *words, cwd=folder)
    output, errors = process.communicate(timeout=600)
    return process.returncode, output, errors


@pytest.mark.slow
def test_contestants_of_every_framework_compute_the_same_and_are_measured(tmp_path: Path) -> None:
    has_torch = importlib.util.find_spec("torch") is not None
    names = f"{TENSORFLOW},{TORCH}" if has_torch else TENSORFLOW
    code, output, errors = run(
        tmp_path,
        *("--workloads=shapes", "--rounds=1", "--secs=0.2", "--warmup_secs=0"),
        f"--contestants={names}",
    )
    assert code == 0, errors
    (path,) = (tmp_path / "out").glob("*/*")
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    slug = machine_slug(results["machine"]["cpu"])
    assert path.parent.name == f"{results['date']}-{slug}-native"
    assert path.name == "shapes.json"
    measured = results["contestants"]
    assert set(measured) == set(names.split(","))
    for result in measured.values():
        assert result["summary"]["images_per_sec"]["median"] > 0
        assert result["summary"]["evaluated_per_sec"]["median"] > 0
        assert result["summary"]["predicted_per_sec"]["median"] > 0
    losses = results["losses"]["losses"]
    assert len(set(losses["cnnlab"])) == 10, "the weights did not change"
    for name, found in losses.items():
        assert found == pytest.approx(losses["cnnlab"], rel=1e-4), name
    assert "| `keras` | as installed |" in output
    assert "| `tf-function-expert` | expert |" in output
    assert "| `cnnlab` | defaults |" in output


def test_unknown_names_are_refused_at_once(tmp_path: Path) -> None:
    code, _, errors = run(tmp_path, "--leagues=instaled")
    assert code == 2
    assert "unknown instaled; of installed,expert" in errors
    assert "Traceback" not in errors


def test_multiply_adds_are_those_of_the_layers() -> None:
    """Counts them from the list of layers, without bias, normalization and activation."""

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

    for name, workload in WORKLOADS.items():
        size = (28, 28, 1) if workload.dataset == "mnist" else (32, 32, 3)
        macs, shape = count(workload.layers, size)
        assert shape == (10,)
        assert macs[0] == workload.first_layer_macs, name
        assert sum(macs[1:]) == workload.other_macs, name


def test_with_avx2_only_tensorflow_keeps_onednn_off_unless_somebody_turns_it_on() -> None:
    known = CONTESTANTS
    chosen = {name: known[name].environment({}, "avx2") for name in known}
    assert {name: inside.get("TF_ENABLE_ONEDNN_OPTS") for name, inside in chosen.items()} == {
        **dict.fromkeys(known, "0"),
        "cnnlab": None,  # it does so itself
        **{name: "1" for name in known if known[name].onednn == "1"},
    }
    assert {inside["ONEDNN_MAX_CPU_ISA"] for inside in chosen.values()} == {"AVX2"}
    assert "ONEDNN_MAX_CPU_ISA" not in known["cnnlab"].environment({})


def results_of(speeds: dict[str, float], date: str = "2026-01-01") -> dict[str, Any]:
    """Return results as the script writes them, with these images/s in training."""

    def measured(speed: float) -> dict[str, Any]:
        numbers = {
            "images_per_sec": speed,
            "evaluated_per_sec": 10 * speed,
            "predicted_per_sec": 20 * speed,
            "step_ms": 1e5 / speed,
            "setup_secs": 5.04,
            "peak_mb": 800.0,
        }
        rounds = [numbers, numbers]
        return {"summary": summarize(rounds), "rounds": rounds, "share_of_matmul": 0.5}

    return {
        "machine": {
            "cpu": "AMD EPYC, family 25, model 17",
            "cpu_features": ["avx2"],
            "cores": 2,
            "ram_gb": 4,
            "system": "Linux",
        },
        "versions": {},
        "date": date,
        "isa": "native",
        "matmul_gflops": 100.0,
        "rounds": 1,
        "secs": 1.0,
        "warmup_secs": 0.0,
        "leagues": ["installed", "expert"],
        "missing": {},
        "workload": "shapes",
        "losses": {"largest_difference": None},
        "contestants": {name: measured(speed) for name, speed in speeds.items()},
    }


SPEEDS = {
    "cnnlab": 300.0,
    "plain": 100.0,
    "keras": 200.0,
    "keras-expert": 150.0,
    "torch-expert": 50.0,
}


def test_the_overview_names_the_fastest_other_of_each_league() -> None:
    row = overview([results_of(SPEEDS)]).splitlines()[-1]
    place = "[2026-01-01-epyc-25-17](#2026-01-01-epyc-25-17-native)"
    assert row == (
        f"| `shapes`, 100 | native | {place} | 300: 1.50 x `keras`, 2.00 x `keras-expert` | "
        "3,000: 1.50 x `keras`, 2.00 x `keras-expert` | "
        "6,000: 1.50 x `keras`, 2.00 x `keras-expert` |"
    )


def test_a_section_has_the_command_and_a_row_for_each_contestant() -> None:
    text = section(results_of(SPEEDS))
    assert "--workloads=shapes --rounds=1 --secs=1" in text
    assert f"--contestants={','.join(SPEEDS)}" in text
    assert "| `cnnlab` | defaults | built in | 300 |  | 333 | 5.0 | 800 | 50% | 3,000 |" in text
    assert "| `keras` | as installed | built in | 200 | 1.50 | 500 | 5.0 | 800 |" in text
    assert "| `torch-expert` | expert | built in | 50 | 6.00 | 2,000 |" in text


@pytest.mark.parametrize(
    ("cpu", "slug"),
    [
        ("AMD EPYC, family 25, model 17", "epyc-25-17"),
        ("AMD EPYC", "epyc"),
        ("AMD EPYC 7763 64-Core Processor, family 25, model 1", "epyc-7763-25-1"),
        (
            "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz, family 6, model 143",
            "xeon-platinum-8481c-6-143",
        ),
        ("", "unknown"),
    ],
)
def test_a_machine_has_a_short_name(cpu: str, slug: str) -> None:
    assert machine_slug(cpu) == slug


def test_the_newest_results_of_a_workload_are_read(tmp_path: Path) -> None:
    for date in ("2026-01-03", "2026-01-01", "2026-01-02"):
        path = write(results_of(SPEEDS, date), tmp_path)
        assert path == tmp_path / f"{date}-epyc-25-17-native" / "shapes.json"
    write({**results_of(SPEEDS), "isa": "avx2"}, tmp_path)
    found = {(results["isa"], results["date"]) for results in read_newest(tmp_path)}
    assert found == {("native", "2026-01-03"), ("avx2", "2026-01-01")}
