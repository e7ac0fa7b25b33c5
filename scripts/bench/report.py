"""Measured workloads as Markdown: a summary of all, and a table of each."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from scripts.bench.contestants import CONTESTANTS, LEAGUES
from scripts.bench.results import folder_name
from scripts.bench.workloads import COMPARED_BATCH_SIZE, WORKLOADS

PACKAGES: Final = ("cnnlab", "tensorflow", "tf-keras", "numpy", "keras", "torch")
# What a contestant's speed in images/s is called in its summary, by task.
SPEEDS: Final = {
    "training": "images_per_sec",
    "evaluation": "evaluated_per_sec",
    "prediction": "predicted_per_sec",
}
TASKS: Final = {"training": "train", "evaluation": "evaluate", "prediction": "predict"}
CNNLAB: Final = "cnnlab"


def summarize(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the median, minimum and maximum of each number that every round measured."""
    numbers = {
        name: [one_round[name] for one_round in rounds]
        for name, value in rounds[0].items()
        if isinstance(value, float)
    }
    return {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for name, values in numbers.items()
    }


def overview(measured: Iterable[dict[str, Any]], kind: str = "") -> str:
    """Return a table with a row for each workload, machine and instruction set.

    Each cell holds cnnlab's images/s, then for each league how many times as fast as the fastest
    other contestant that is.

    Args:
        measured: results of workloads.
        kind: the first word of the headings that the rows link to.
    """
    lines = [
        f"| workload, batch | instructions | measured | {' | '.join(SPEEDS)} |",
        "|---|---|---|---|---|---|",
    ]
    for results in sorted(measured, key=place):
        folder = folder_name(results)
        anchor = "-".join(filter(None, [kind, folder]))
        cells = [
            f"`{results['workload']}`, {WORKLOADS[results['workload']].batch_size:,}",
            results["isa"],
            f"[{folder.removesuffix('-' + results['isa'])}](#{anchor})",
            *(_against_the_best(results, speed) for speed in SPEEDS.values()),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def section(results: dict[str, Any]) -> str:
    """Return one workload's heading, the command that repeats it, its table and notes."""
    workload = results["workload"]
    losses = results["losses"]
    lines = [
        f"### {workload}, batch {WORKLOADS[workload].batch_size:,}, {results['isa']}",
        "",
        *command(results),
        "",
        f"Medians of {_rounds(results['rounds'])} of {results['secs']:g} s, after a warm-up of "
        f"{results['warmup_secs']:g} s. Fastest matrix product: "
        f"{results['matmul_gflops']:.0f} GFLOP/s.",
        "",
        *_table(results),
    ]
    lines += ["", *(f"Not measured: `{name}`: {why}." for name, why in results["missing"].items())]
    if losses["largest_difference"] is not None:
        lines += [
            f"Largest relative difference of losses in {losses['steps']} steps of at most "
            f"{COMPARED_BATCH_SIZE} images: {losses['largest_difference']:.1g}.",
        ]
    return "\n".join(lines).rstrip() + "\n"


def machine_lines(results: dict[str, Any]) -> list[str]:
    """Return the machine, the versions and the commit, a line each."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return [
        f"- Machine: {machine['cpu']} ({', '.join(machine['cpu_features'])}), "
        f"{machine['cores']} cores, {machine['ram_gb']} GB RAM, {machine['system']}",
        f"- Versions: {versions}",
        *([f"- Commit: {results['commit']}"] if results.get("commit") else []),
    ]


def command(results: dict[str, Any]) -> list[str]:
    """Return the command that repeats a measurement, as lines of a Markdown code block."""
    summary = results["contestants"][CNNLAB]["summary"]
    tasks = [TASKS[task] for task, speed in SPEEDS.items() if speed in summary]
    words = [
        f"--workloads={results['workload']}",
        *([] if results["isa"] == "native" else [f"--isa={results['isa']}"]),
        *([] if len(tasks) == len(TASKS) else [f"--tasks={','.join(tasks)}"]),
        f"--rounds={results['rounds']}",
        f"--secs={results['secs']:g}",
    ]
    return [
        f"    python scripts/bench/benchmark.py --data_dir=./data {' '.join(words)} \\",
        f"      --contestants={','.join(results['contestants'])}",
    ]


def place(results: dict[str, Any]) -> tuple[int, str, bool, int]:
    """Return the place in a page: newest day first, native first, small networks first."""
    day = int(results["date"].replace("-", ""))
    size = list(WORKLOADS).index(results["workload"])
    return -day, results["machine"]["cpu"], results["isa"] != "native", size


def _against_the_best(results: dict[str, Any], speed: str) -> str:
    """Return a cell of the summary."""
    summaries = {name: found["summary"] for name, found in results["contestants"].items()}
    if speed not in summaries[CNNLAB]:
        return ""
    medians = {name: summary[speed]["median"] for name, summary in summaries.items()}
    mine = medians.pop(CNNLAB)
    ratios = []
    for league in results["leagues"]:
        others = {name: m for name, m in medians.items() if league in CONTESTANTS[name].leagues}
        if others:
            best = max(others, key=others.__getitem__)
            ratios.append(f"{mine / others[best]:.2f} x `{best}`")
    return f"{mine:,.0f}: {', '.join(ratios)}" if ratios else f"{mine:,.0f}"


def _rounds(rounds: int) -> str:
    return "one round" if rounds == 1 else f"{rounds} interleaved rounds"


def _table(results: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of one workload's table, a row for each contestant."""
    measured = results["contestants"]
    summaries = {name: found["summary"] for name, found in measured.items()}
    columns: list[tuple[str, Mapping[str, str]]] = [
        ("contestant", {name: f"`{name}`" for name in measured}),
        ("set-up", {name: set_up(name) for name in measured}),
        ("oneDNN", {name: _onednn_cell(found["rounds"][0]) for name, found in measured.items()}),
    ]
    for task, speed in SPEEDS.items():
        if speed not in summaries[CNNLAB]:
            continue
        columns += _speed_columns(task, speed, summaries)
        if task == "training":
            columns += _training_columns(measured)
    yield f"| {' | '.join(title for title, _ in columns)} |"
    yield "|---" * len(columns) + "|"
    for name in measured:
        yield f"| {' | '.join(cells[name] for _, cells in columns)} |"


def _speed_columns(
    task: str, speed: str, summaries: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, str]]]:
    """Return the column of medians, minima and maxima, and the column of cnnlab's ratios."""
    mine = summaries[CNNLAB][speed]["median"]
    cells, ratios = {}, {}
    for name, summary in summaries.items():
        found = summary[speed]
        spread = f" [{found['min']:,.0f} to {found['max']:,.0f}]"
        cells[name] = f"{found['median']:,.0f}{spread if found['min'] < found['max'] else ''}"
        ratios[name] = "" if name == CNNLAB else f"{mine / found['median']:.2f}"
    return [(f"{task}, images/s", cells), ("cnnlab is, times", ratios)]


def _training_columns(measured: Mapping[str, Any]) -> list[tuple[str, Mapping[str, str]]]:
    columns: list[tuple[str, Mapping[str, str]]] = []
    for title, number, form in (
        ("a step, ms", "step_ms", ".3g"),
        ("first step, s", "setup_secs", ".1f"),
        ("peak memory, MB", "peak_mb", ",.0f"),
    ):
        medians = {name: found["summary"][number]["median"] for name, found in measured.items()}
        cells = {
            name: format(median, ",.0f" if median >= 100 else form)
            for name, median in medians.items()
        }
        columns.append((title, cells))
    shares = {name: f"{found['share_of_matmul']:.0%}" for name, found in measured.items()}
    return [*columns, ("share of matrix product", shares)]


def set_up(name: str) -> str:
    """Return how a contestant is set up."""
    return "defaults" if name == CNNLAB else LEAGUES[CONTESTANTS[name].leagues[0]]


def _onednn_cell(measured: Mapping[str, Any]) -> str:
    if "onednn" not in measured:
        return "built in"  # PyTorch
    state = "on" if measured["onednn"] else "off"
    return state if measured["onednn_asked"] is not None else f"{state} (default)"
