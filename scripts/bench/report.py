"""The machine, the versions, and the results as a Markdown table."""

import statistics
from collections.abc import Sequence
from typing import Any

from bench.contestants import CONTESTANTS
from bench.workloads import WORKLOADS

PACKAGES = ("tensorflow", "tf-keras", "numpy", "keras", "torch")


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
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"{machine['cpu']} ({', '.join(machine['cpu_features'])}), {machine['cores']} cores, "
        f"{machine['ram_gb']} GB RAM, {machine['system']}; {versions}; {results['date']}.",
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
