"""Show what each ingredient of training does to cifar_cnn on CIFAR-10, with equal steps.

    python scripts/bench/ablations.py --data_dir=./data --work_dir=./save/ablations

Each run has a run directory below --work_dir. A finished run is not repeated and a stopped one is
resumed, so the script can be called until all runs are finished. The accuracy is that of a
validation set, 0.1 of the training images; the test set is not used. Writes
results/ablations.json, docs/ablations.md and docs/ablations.png. With --report_only it trains
nothing and reports the finished runs.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BATCH_SIZE = 128
VALIDATION_SPLIT = 0.1
BASE = {
    "config": "cifar_cnn",
    "batch_size": BATCH_SIZE,
    "validation_split": VALIDATION_SPLIT,
    "schedule": "constant",
    "eval_examples": "none",
    "max_to_keep": 1,
}

# Table to name to the options that differ from BASE; TENTH stands for a tenth of the steps.
TENTH = "TENTH"
ABLATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "regularization": {
        "none": {},
        "L2 0.001": {"l2": 0.001},
        "dropout 0.5 dense, 0.2 conv": {"model_options": "{dropout: 0.5, conv_dropout: 0.2}"},
        "batch norm before relu": {"model_options": "{batch_norm: before}"},
        "batch norm after relu": {"model_options": "{batch_norm: after}"},
        "flip, crop": {"augment": "[flip, pad_and_crop]"},
    },
    "initialization": {
        "Glorot uniform (default)": {},
        "zeros": {"kernel_initializer": "zeros"},
        "N(0, 0.01)": {"kernel_initializer": "normal", "kernel_stddev": 0.01},
        "He normal": {"kernel_initializer": "he_normal"},
    },
    "schedule": {
        "constant": {},
        "exponential": {"schedule": "exponential", "decay_steps": TENTH},
        "polynomial": {"schedule": "polynomial"},
        "quadratic": {"schedule": "quadratic"},
        "piecewise 1/3, 2/3": {"schedule": "piecewise"},
        "cosine": {"schedule": "cosine"},
        "one cycle": {"schedule": "one_cycle"},
        "cosine after warm-up": {"schedule": "cosine", "warmup_steps": TENTH},
        "plateau, patience 1": {"schedule": "plateau", "plateau_patience": 1},
    },
}


def main() -> None:
    """Make the runs that are missing, then write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of CIFAR-10's files")
    parser.add_argument("--work_dir", default="./save/ablations", help="folder of the runs")
    parser.add_argument(
        "--steps", type=int, default=1000, help="steps of each run, a multiple of 10"
    )
    parser.add_argument("--seeds", type=int, default=2, help="runs of each kind")
    parser.add_argument("--report_only", action="store_true", help="train nothing")
    parser.add_argument("--out", default=".", help="folder of results/ and docs/")
    args = parser.parse_args()
    work_dir = Path(args.work_dir) / f"steps={args.steps}"
    if not args.report_only:
        for seed in range(1, args.seeds + 1):  # every kind once before any kind a second time
            for options in distinct_runs():
                train(options, seed, work_dir, args)
    results = read_results(work_dir, args)
    write_report(results, Path(args.out))


def distinct_runs() -> list[dict[str, Any]]:
    """Return the options of every run once, although several tables show the plain one."""
    found: dict[str, dict[str, Any]] = {}
    for runs in ABLATIONS.values():
        for options in runs.values():
            found.setdefault(folder_name(options), options)
    return list(found.values())


def folder_name(options: dict[str, Any]) -> str:
    """Return a name made of the options, so that a changed ablation is a new run."""
    text = "_".join(f"{name}={value}" for name, value in options.items()) or "plain"
    return "".join(c if c.isalnum() or c in "=._-" else "-" for c in text)


def run_folder(work_dir: Path, options: dict[str, Any], seed: int) -> Path:
    """Return the run directory."""
    return work_dir / f"{folder_name(options)}_seed={seed}"


def train(options: dict[str, Any], seed: int, work_dir: Path, args: argparse.Namespace) -> None:
    """Run the command unless its run is finished; exit if it fails."""
    folder = run_folder(work_dir, options, seed)
    if (folder / "result.json").exists():
        return
    given = {
        **BASE,
        "steps": args.steps,
        "eval_steps": args.steps // 5,
        "summary_steps": args.steps // 10,
        "checkpoint_steps": args.steps // 5,
        **{k: args.steps // 10 if v == TENTH else v for k, v in options.items()},
        "seed": seed,
        "data_dir": args.data_dir,
        "save_dir": folder,
    }
    command = [sys.executable, "-m", "cnnlab.train", *(f"--{k}={v}" for k, v in given.items())]
    print(f"{folder.name} ...", file=sys.stderr, flush=True)
    process = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\nfailed: {process.stderr.strip().splitlines()[-1]}")


def read_results(work_dir: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Read the validation curves of all finished runs."""
    tables: dict[str, Any] = {}
    for table, runs in ABLATIONS.items():
        tables[table] = {}
        for name, options in runs.items():
            curves = []
            for seed in range(1, args.seeds + 1):
                folder = run_folder(work_dir, options, seed)
                if not (folder / "result.json").exists():
                    continue
                text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
                lines = [json.loads(line) for line in text.splitlines()]
                curves.append(
                    {
                        "seed": seed,
                        "validation": [
                            {key: line[key] for key in ("step", "accuracy", "loss")}
                            for line in lines
                            if line["split"] == "val"
                        ],
                        "train_loss": [line["loss"] for line in lines if line["split"] == "train"],
                    }
                )
            if curves:
                last = [curve["validation"][-1]["accuracy"] for curve in curves]
                tables[table][name] = {
                    "options": {
                        k: args.steps // 10 if v == TENTH else v for k, v in options.items()
                    },
                    "accuracy": statistics.mean(last),
                    "accuracies": last,
                    "runs": curves,
                }
    return {
        "base": BASE,
        "steps": args.steps,
        "seeds": args.seeds,
        "epochs": round(args.steps * BATCH_SIZE / (50_000 * (1 - VALIDATION_SPLIT)), 2),
        "tables": tables,
    }


def write_report(results: dict[str, Any], out: Path) -> None:
    """Write the JSON file, the tables and the plot."""
    (out / "results").mkdir(parents=True, exist_ok=True)
    (out / "docs").mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1) + "\n"
    (out / "results" / "ablations.json").write_text(text, encoding="utf-8")
    (out / "docs" / "ablations.md").write_text(markdown(results), encoding="utf-8")
    plot(results, out / "docs" / "ablations.png")


def markdown(results: dict[str, Any]) -> str:
    """Return the page of tables."""
    lines = [
        "# What each ingredient does",
        "",
        f"Each run trains `cifar_cnn` on CIFAR-10 for {results['steps']} steps of {BATCH_SIZE} "
        f"images ({results['epochs']} epochs), with Adam 0.001 and a",
        "constant rate unless the table says otherwise. The accuracy is that of a validation set "
        f"({VALIDATION_SPLIT:g} of the training",
        "images) after the last step; the test set is not used. So short a run gains little from "
        "regularization: the tables",
        "show its price. Compare the training loss. This command wrote the page:",
        "",
        f"    python scripts/bench/ablations.py --data_dir=./data --steps={results['steps']} "
        f"--seeds={results['seeds']}",
        "",
        "![validation accuracy by step](ablations.png)",
    ]
    for table, runs in results["tables"].items():
        lines += [
            "",
            f"## {table.capitalize()}",
            "",
            "| | options | validation accuracy | seeds | validation loss | training loss |",
            "|---|---|---|---|---|---|",
        ]
        for name, run in runs.items():
            options = " ".join(f"`--{k}={v}`" for k, v in run["options"].items()) or "none"
            seeds = ", ".join(f"{100 * accuracy:.1f}" for accuracy in run["accuracies"])
            losses = [
                statistics.mean(curve["validation"][-1]["loss"] for curve in run["runs"]),
                statistics.mean(statistics.mean(curve["train_loss"][-3:]) for curve in run["runs"]),
            ]
            lines.append(
                f"| {name} | {options} | {100 * run['accuracy']:.1f}% | {seeds} | "
                f"{losses[0]:.3f} | {losses[1]:.3f} |"
            )
    return "\n".join(lines) + "\n"


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw the validation accuracy by step, the mean of the seeds, one panel per table."""
    tables = results["tables"]
    figure, panels = plt.subplots(1, len(tables), figsize=(5.2 * len(tables), 4.6), sharey=True)
    for panel, (table, runs) in zip(panels, tables.items(), strict=True):
        for name, run in runs.items():
            curves = [[point["accuracy"] for point in c["validation"]] for c in run["runs"]]
            steps = [point["step"] for point in run["runs"][0]["validation"]]
            means = [100 * statistics.mean(values) for values in zip(*curves, strict=True)]
            panel.plot(steps, means, marker=".", linewidth=1.4, label=name)
        panel.set_title(table)
        panel.set_xlabel("step")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8, loc="lower right")
    panels[0].set_ylabel("validation accuracy, %")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
