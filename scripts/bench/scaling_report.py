"""The measurements of scaling.py and workers.py as tables and plots."""

import json
from pathlib import Path
from typing import Any

from scripts.bench import workers_report
from scripts.bench.scaling_worker import TURN_STEPS


def write_page(out: Path) -> None:
    """Write out/docs/scaling.md from the files in out/results.

    Without results of scaling.py, only those of workers.py are printed.
    """
    found = {}
    for name in ("scaling", "workers", "overlap"):
        path = out / "results" / f"{name}.json"
        if path.is_file():
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    text = markdown(found["scaling"]) if "scaling" in found else ""
    if "workers" in found:
        text += "\n".join(workers_report.lines_of(found["workers"], found.get("overlap"))) + "\n"
    if "scaling" in found:
        (out / "docs" / "scaling.md").write_text(text, encoding="utf-8")
    print(text, end="")


def markdown(results: dict[str, Any]) -> str:
    """Return the page of tables about one process."""
    machine = results["machine"]
    named = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        "# Scaling",
        "",
        "How the speed of cnnlab depends on the number of training images and on the batch size,",
        "what logging and saving cost, and how long a start takes. This command wrote the page:",
        "",
        "    python scripts/bench/scaling.py --data_dir=./data",
        "",
        f"- Machine: {machine['cpu']} ({', '.join(machine['cpu_features'])}), {machine['cores']} "
        f"cores, {machine['ram_gb']} GB RAM, {machine['system']}",
        f"- Versions: {named}",
        f"- Measured on {results['date']}: medians of {results['rounds']} interleaved rounds of "
        f"{results['secs']:g} s",
        "",
        "## Training images",
        "",
        "`mnist_perceptron`, batch 100, training set in memory.",
        "",
        "| images | images/s |",
        "|---|---|",
        *(f"| {row['images']:,} | {row['images_per_sec']:,.0f} |" for row in results["sizes"]),
        "",
        "![images a second by the size of the training set](images/scaling-data.png)",
        "",
        "## Batch size",
        "",
        "| network | batch | steps/s | images/s |",
        "|---|---|---|---|",
    ]
    for model, rows in results["batches"].items():
        lines += [
            f"| `{model}` | {row['batch_size']:,} | {row['steps_per_sec']:,.1f} | "
            f"{row['images_per_sec']:,.0f} |"
            for row in rows
        ]
    lines += [
        "",
        "![steps and images a second by batch size](images/scaling-batch.png)",
        "",
        "## Logging and saving",
        "",
        "This is the cost of a summary, a line of progress and a checkpoint together. The share is",
        f"their part of the time if they come every {TURN_STEPS} steps. They also end a run of the",
        "session, and the writing thread uses the processor: about another millisecond in all, see",
        "[start-up](performance/startup.md).",
        "",
        "| network | batch | cost, ms | a step, ms | share |",
        "|---|---|---|---|---|",
        *(
            f"| `{row['model']}` | {row['batch_size']} | {row['cost_ms']:.1f} | "
            f"{row['step_ms']:.3f} | {100 * row['share']:.2f}% |"
            for row in results["turns"]
        ),
        "",
        "## Start",
        "",
        "| data set | from the start of the process to the end of step 1, s | peak memory, MB |",
        "|---|---|---|",
        *(
            f"| {dataset} | {row['secs']:.1f} | {row['peak_mb']:.0f} |"
            for dataset, row in results["starts"].items()
        ),
    ]
    return "\n".join(lines) + "\n"


def plot(results: dict[str, Any], folder: Path) -> None:
    """Draw scaling-data.png and scaling-batch.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(5.2, 3.8))
    sizes = [row["images"] for row in results["sizes"]]
    panel.plot(sizes, [row["images_per_sec"] for row in results["sizes"]], marker="o")
    panel.set_xscale("log")
    panel.set_ylim(bottom=0)
    panel.set_xlabel("training images")
    panel.set_ylabel("images/s")
    panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(folder / "scaling-data.png", dpi=110)
    plt.close(figure)

    figure, panels = plt.subplots(1, 2, figsize=(9.6, 3.8))
    for panel, number, label in zip(
        panels, ("images_per_sec", "steps_per_sec"), ("images/s", "steps/s"), strict=True
    ):
        for model, rows in results["batches"].items():
            batches = [row["batch_size"] for row in rows]
            panel.plot(batches, [row[number] for row in rows], marker="o", label=model)
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xlabel("batch size")
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "scaling-batch.png", dpi=110)
    plt.close(figure)
