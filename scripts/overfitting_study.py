"""Show how a long run overfits: each checkpoint of cifar_cnn on all training and all test images.

    python -m cnnlab.reproduce cifar_cnn --seeds=1
    python scripts/overfitting_study.py --save_dir=save/reproduce/cifar_cnn/seed-1

The first command trains for the 20,000 steps of the text and keeps a checkpoint every 1,000 steps.
The second one evaluates these checkpoints, also of a run that is not finished. It writes
results/overfitting.json, docs/overfitting.md and docs/overfitting.png.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's scripts and cnnlab

from cnnlab.base.files import write_atomically
from cnnlab.config.recipes import load_recipe
from cnnlab.evaluate import evaluate
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.config_file import read_facts, read_provenance
from scripts.bench.markdown import filled
from scripts.bench.report import machine_lines

ROOT: Final = Path(__file__).resolve().parents[1]
RECIPE: Final = "cifar_cnn"
SPLITS: Final = ("train", "test")


def main() -> None:
    """Evaluate the checkpoints of a run, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--save_dir", default=f"save/reproduce/{RECIPE}/seed-1", help="run directory"
    )
    results = study(Path(parser.parse_args().save_dir))
    write_atomically(ROOT / "results/overfitting.json", json.dumps(results, indent=1) + "\n")
    write_atomically(ROOT / "docs/overfitting.md", page(results))
    draw(results, ROOT / "docs/overfitting.png")


def study(save_dir: Path) -> dict[str, Any]:
    """Return accuracy and loss of each checkpoint of a run, on each split.

    Checkpoints of a run that was stopped between two of the schedule are left out.

    Raises:
        SystemExit: the run has fewer than two checkpoints.
    """
    every = read_facts(save_dir).get("checkpoint_steps", 1)  # a folder without a run has none
    steps = [step for step in Checkpoints(save_dir).steps() if step % every == 0]
    if len(steps) < 2:
        raise SystemExit(f"error: {save_dir} has {len(steps)} checkpoints; a curve needs two")
    points = []
    for step in steps:
        print(f"step {step} ...", file=sys.stderr, flush=True)
        point: dict[str, Any] = {"step": step}
        for split in SPLITS:
            figures = evaluate(save_dir, checkpoint=str(step), split=split)
            point[split] = {key: figures[key] for key in ("accuracy", "loss", "n")}
        points.append(point)
    return {
        "recipe": RECIPE,
        "steps": load_recipe(RECIPE)["steps"],
        "points": points,
        **read_provenance(save_dir),
    }


def table(results: Mapping[str, Any]) -> list[str]:
    """Return accuracies and losses as a Markdown table, a line for each checkpoint."""
    heads = ["step", *(f"{split} {figure}" for figure in ("accuracy", "loss") for split in SPLITS)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for point in results["points"]:
        cells = [
            f"{point['step']:,}",
            *(f"{point[split]['accuracy']:.2%}" for split in SPLITS),
            *(f"{point[split]['loss']:.4f}" for split in SPLITS),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def page(results: Mapping[str, Any]) -> str:
    """Return docs/overfitting.md."""
    points = results["points"]
    lowest = min(points, key=lambda point: point["test"]["loss"])
    last = points[-1]
    counts = {split: f"{last[split]['n']:,}" for split in SPLITS}
    whole = last["step"] == results["steps"]
    stopped = "" if whole else f"Here are the first {last['step']:,} of them. "
    lines = [
        "# Overfitting, seen in a long run",
        "",
        *filled(
            f"`{results['recipe']}` makes {results['steps']:,} steps, as its text has it. {stopped}"
            "It has no augmentation, dropout or penalty. A checkpoint of one run, with seed 1, is "
            f"evaluated every {points[1]['step'] - points[0]['step']:,} steps, on all "
            f"{counts['train']} training images and all {counts['test']} test images. A network "
            "overfits where its loss on training images still falls, and its "
            "loss on test images grows."
        ),
        "",
        *filled(
            f"The test loss is lowest at step {lowest['step']:,}: {lowest['test']['loss']:.3f}, "
            f"with {lowest['test']['accuracy']:.2%} of the test images right. At the end of this "
            f"curve it is {last['test']['loss']:.3f}, and {last['test']['accuracy']:.2%} of the "
            f"test images are right. The training loss ends at {last['train']['loss']:.4f}, with "
            f"{last['train']['accuracy']:.2%} of the training images right. A network that is more "
            "certain of its mistakes has a higher loss, but not a lower accuracy."
        ),
        "",
        *filled(
            "A test set must not choose where to stop. `--validation_split=0.1 "
            "--early_stopping=5 --restore_best` does it with training images set aside. "
            "[Ablations](ablations.md) shows what narrows the gap: dropout, penalties, "
            "augmentation."
        ),
        "",
        "    python -m cnnlab.reproduce cifar_cnn --seeds=1",
        "    python scripts/overfitting_study.py --save_dir=save/reproduce/cifar_cnn/seed-1",
        "",
        "![accuracy and loss on training and test images, by step](overfitting.png)",
        "",
        *table(results),
        "",
        *machine_lines(dict(results)),
    ]
    return "\n".join(lines) + "\n"


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw accuracy and loss over the steps, one line for each split."""
    figure, both = plt.subplots(1, 2, figsize=(9, 3.8))
    steps = [point["step"] for point in results["points"]]
    for axes, quantity in zip(both, ("accuracy", "loss"), strict=True):
        for split in SPLITS:
            values = [point[split][quantity] for point in results["points"]]
            if quantity == "accuracy":
                values = [100 * value for value in values]
            axes.plot(steps, values, marker="o", markersize=3, linewidth=1.6, label=split)
        axes.set_xlabel("step")
        axes.set_ylabel("accuracy, %" if quantity == "accuracy" else quantity)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
