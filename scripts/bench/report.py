"""The machine, the versions, and the results as a Markdown table."""

import datetime
import os
import platform
import statistics
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.contestants import CONTESTANTS
from bench.workloads import WORKLOADS

PACKAGES = ("tensorflow", "tf-keras", "numpy", "keras", "torch")
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni")


def describe_machine() -> dict[str, Any]:
    """The CPU, its cores that may be used, the memory, the system, the versions and the date."""
    cpu: dict[str, str] = {}
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            cpu.setdefault(name.strip(), value.strip())
    flags = cpu.get("flags", "").split()
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "cpu_features": [feature for feature in CPU_FEATURES if feature in flags],
        "cores": len(os.sched_getaffinity(0)),
        "ram_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": platform.system(),
        "versions": versions,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def summarize(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median, least and greatest of each number that was measured in each round."""
    numbers = {
        name: [one_round[name] for one_round in rounds]
        for name, value in rounds[0].items()
        if isinstance(value, float)
    }
    return {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for name, values in numbers.items()
    }


def markdown(results: dict[str, Any]) -> str:
    """The results as Markdown: the machine, then a table for each workload."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"{machine['cpu']} ({', '.join(machine['cpu_features'])}), {machine['cores']} cores, "
        f"{machine['ram_gb']} GB RAM, {machine['system']}; {versions}; {machine['date']}.",
        f"Best float32 matrix product: {results['matmul_gflops']:.0f} GFLOP/s.",
        f"Medians of {results['rounds']} interleaved rounds of {results['secs']:g} s after a "
        f"warm-up of {results['warmup_secs']:g} s, in brackets least and greatest.",
    ]
    for name, contestants in results["workloads"].items():
        lines += ["", f"### {name}, batch {WORKLOADS[name].batch_size}", "", *_table(contestants)]
        lines += ["", *_losses_line(results["losses"][name])]
    return "\n".join(lines) + "\n"


def _table(contestants: dict[str, Any]) -> list[str]:
    reference = next((name for name in ("plain", *contestants) if name in contestants), "")
    base = contestants[reference]["summary"]["images_per_sec"]["median"]
    rows = [
        f"| contestant | oneDNN | images/s | times `{reference}` | ms a step "
        "| to the first step, s | peak memory, MB | share of matrix product |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, result in contestants.items():
        summary = result["summary"]
        speed = summary["images_per_sec"]
        cells = [
            f"`{name}`: {CONTESTANTS[name].about}",
            _onednn_cell(result["rounds"][0]),
            f"{speed['median']:.0f} [{speed['min']:.0f} to {speed['max']:.0f}]",
            f"{speed['median'] / base:.2f}",
            f"{summary['step_ms']['median']:.3g}",
            f"{summary['setup_secs']['median']:.1f}",
            f"{summary['peak_mb']['median']:.0f}",
            f"{result['share_of_matmul']:.1%}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _onednn_cell(measured: dict[str, Any]) -> str:
    if "onednn" not in measured:
        return "none"
    state = "on" if measured["onednn"] else "off"
    return state if measured["onednn_asked"] is not None else f"{state} (TensorFlow's choice)"


def _losses_line(losses: dict[str, Any]) -> list[str]:
    if losses["largest_difference"] is None:
        return ["No other contestant's losses were compared."]
    return [
        f"Same losses in {losses['steps']} steps from the same start; largest relative difference "
        f"{losses['largest_difference']:.1g}."
    ]
