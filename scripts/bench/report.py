"""The machine, the versions, and the results as Markdown tables."""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from bench.contestants import CONTESTANTS, LEAGUES
from bench.workloads import COMPARED_BATCH_SIZE, EVALUATION_BATCH_SIZES, WORKLOADS

HOLDING = "libraries told so by their environment variables; oneDNN off where TensorFlow chooses"
PACKAGES = ("cnnlab", "tensorflow", "tf-keras", "numpy", "keras", "torch")


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
    """The results as Markdown: the machine, then tables of each workload, one a league."""
    lines = [*_circumstances(results), "In brackets: least and greatest."]
    lines += [f"Not measured: `{name}`: {why}." for name, why in results["missing"].items()]
    for workload, contestants in results["workloads"].items():
        lines += ["", f"### {workload}, batch {WORKLOADS[workload].batch_size}"]
        for league in results["leagues"]:
            entered = {
                name: result
                for name, result in contestants.items()
                if league in CONTESTANTS[name].leagues
            }
            if entered:
                lines += ["", f"{LEAGUES[league][0].upper()}{LEAGUES[league][1:]}:"]
                lines += ["", *_table(entered)]
        lines += ["", _losses_line(results["losses"][workload])]
    return "\n".join(lines) + "\n"


def overview(results: dict[str, Any]) -> str:
    """The results in short: of each workload, cnnlab and the fastest other of each league."""
    titles = ["workload, batch", "what", "cnnlab, images/s"]
    for league in results["leagues"]:
        titles += [f"best other {LEAGUES[league]}", "cnnlab is"]
    titles += ["share of matrix product", "to the first step, s", "peak memory, MB"]
    lines = [*_circumstances(results), "", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for workload, contestants in results["workloads"].items():
        job = f"`{workload}`, {WORKLOADS[workload].batch_size}"
        summary = contestants["cnnlab"]["summary"]
        if "images_per_sec" in summary:
            share = f"{contestants['cnnlab']['share_of_matmul']:.0%}"
            secs, megabytes = (summary[name]["median"] for name in ("setup_secs", "peak_mb"))
            speeds = _against_best(results["leagues"], contestants, "images_per_sec")
            cells = [job, "training", *speeds, share, f"{secs:.1f}", f"{megabytes:.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
        if "evaluated_per_sec" in summary:
            speeds = _against_best(results["leagues"], contestants, "evaluated_per_sec")
            lines.append(f"| {' | '.join([job, 'evaluation', *speeds, '', '', ''])} |")
        if "predicted_per_sec" in summary:
            speeds = _against_best(results["leagues"], contestants, "predicted_per_sec")
            lines.append(f"| {' | '.join([job, 'prediction', *speeds, '', '', ''])} |")
    return "\n".join(lines)


def _against_best(
    leagues: Sequence[str], contestants: dict[str, Any], number: str
) -> Iterator[str]:
    """cnnlab's median; of each league the fastest other's, and cnnlab's over it."""
    medians = {name: result["summary"][number]["median"] for name, result in contestants.items()}
    mine = medians.pop("cnnlab")
    yield f"{mine:.0f}"
    for league in leagues:
        others = {name: m for name, m in medians.items() if league in CONTESTANTS[name].leagues}
        best = max(others, key=others.__getitem__, default=None)
        yield "none" if best is None else f"`{best}` {others[best]:.0f}"
        yield "" if best is None else f"{mine / others[best]:.2f} times"


def _circumstances(results: dict[str, Any]) -> list[str]:
    """The machine, the versions, how it was measured."""
    machine = results["machine"]
    summaries = [r["summary"] for all_of in results["workloads"].values() for r in all_of.values()]
    predicts = any("predicted_per_sec" in summary for summary in summaries)
    inference = "Evaluation and prediction are" if predicts else "Evaluation is"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return [
        f"{machine['cpu']} ({', '.join(machine['cpu_features'])}), {machine['cores']} cores, "
        f"{machine['ram_gb']} GB RAM, {machine['system']}; {versions}; {results['date']}.",
        *([] if results["isa"] == "native" else [f"Held to {results['isa'].upper()} ({HOLDING})."]),
        f"Best float32 matrix product: {results['matmul_gflops']:.0f} GFLOP/s.",
        f"Medians of {results['rounds']} interleaved rounds of {results['secs']:g} s after a "
        f"warm-up of {results['warmup_secs']:g} s. {inference} of the test set "
        f"with the same weights, in batches of {EVALUATION_BATCH_SIZES[0]}; experts take "
        f"{EVALUATION_BATCH_SIZES[1]} where that is faster, and cnnlab chooses by itself.",
    ]


def _table(contestants: dict[str, Any]) -> Iterator[str]:
    columns: list[tuple[str, dict[str, str]]] = [
        ("contestant", {name: f"`{name}`: {CONTESTANTS[name].about}" for name in contestants}),
        ("oneDNN", {name: _onednn_cell(r["rounds"][0]) for name, r in contestants.items()}),
    ]
    summaries = {name: result["summary"] for name, result in contestants.items()}
    first = next(iter(summaries.values()))
    if "images_per_sec" in first:
        columns += _speed_columns("training, images/s", "images_per_sec", summaries)
        for title, number, form in (
            ("ms a step", "step_ms", ".3g"),
            ("to the first step, s", "setup_secs", ".1f"),
            ("peak memory, MB", "peak_mb", ".0f"),
        ):
            cells = {name: format(s[number]["median"], form) for name, s in summaries.items()}
            columns.append((title, cells))
        shares = {name: f"{r['share_of_matmul']:.1%}" for name, r in contestants.items()}
        columns.append(("share of matrix product", shares))
    if "evaluated_per_sec" in first:
        columns += _speed_columns("evaluation, images/s", "evaluated_per_sec", summaries)
    if "predicted_per_sec" in first:
        columns += _speed_columns("prediction, images/s", "predicted_per_sec", summaries)
    yield f"| {' | '.join(title for title, _ in columns)} |"
    yield "|---" * len(columns) + "|"
    for name in contestants:
        yield f"| {' | '.join(cells[name] for _, cells in columns)} |"


def _speed_columns(
    title: str, number: str, summaries: dict[str, Any]
) -> list[tuple[str, dict[str, str]]]:
    """Median and spread; and the median over that of the fastest other contestant."""
    medians = {name: summary[number]["median"] for name, summary in summaries.items()}
    speeds, ratios = {}, {}
    for name, summary in summaries.items():
        speed = summary[number]
        speeds[name] = f"{speed['median']:.0f} [{speed['min']:.0f} to {speed['max']:.0f}]"
        best = max((median for other, median in medians.items() if other != name), default=None)
        ratios[name] = "" if best is None else f"{medians[name] / best:.2f}"
    return [(title, speeds), ("times the best other", ratios)]


def _onednn_cell(measured: dict[str, Any]) -> str:
    if "onednn" not in measured:
        return "its own"  # PyTorch has oneDNN inside
    state = "on" if measured["onednn"] else "off"
    return state if measured["onednn_asked"] is not None else f"{state} (TensorFlow's choice)"


def _losses_line(losses: dict[str, Any]) -> str:
    if losses["largest_difference"] is None:
        return "No other contestant's losses were compared."
    return (
        f"Same losses in {losses['steps']} steps of at most {COMPARED_BATCH_SIZE} images from the "
        f"same start, without dropout; largest relative difference "
        f"{losses['largest_difference']:.1g}."
    )
