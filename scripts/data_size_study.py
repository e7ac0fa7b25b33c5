"""Measure test accuracy against the size of the training set, for three networks on CIFAR-10.

    python scripts/data_size_study.py --data_dir=./data --work_dir=./save/data_size
    python scripts/data_size_study.py --data_dir=./data --quick

A small, a medium and a large network are trained on nested parts of the training set, all with the
same number of steps. The settings were fixed before the first run, and nothing is chosen by the
test images. Each run has a folder below --work_dir. A finished run is not repeated and a stopped
one is resumed, so the script can be called until all runs are finished.

It writes results/data_size.json, docs/data_size.md and docs/data_size.png. With --quick, two small
parts are trained for a few steps, to see that the script works, and nothing of docs/ is written.
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
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's scripts and cnnlab

from cnnlab import Train, layers
from cnnlab.base.files import write_atomically
from cnnlab.base.machine import joined_provenance
from cnnlab.data.datasets import Dataset, Split, load_dataset
from cnnlab.run.disk.config_file import read_provenance
from scripts.bench.markdown import filled
from scripts.bench.report import machine_lines

ROOT: Final = Path(__file__).resolve().parents[1]
WIDTHS: Final = {"small": 4, "medium": 12, "large": 32}
SIZES: Final = (1_000, 4_000, 16_000, 50_000)
STEPS: Final = 1000
QUICK_SIZES: Final = (100, 400)
QUICK_STEPS: Final = 10
MEASURED: Final = 2000  # training images whose accuracy is measured at the end
OPTIONS: Final[dict[str, Any]] = {
    "batch_size": 64,
    "optimizer": "adam",
    "learning_rate": 0.002,
    "schedule": "cosine",
    "scaling": "normalize",
    "seed": 1,
    "eval_steps": 1000,
    "summary_steps": 100,
    "checkpoint_steps": 250,
    "max_to_keep": 1,
}


def network(images: Any, num_classes: int, *, training: bool, width: int) -> Any:
    """Build three 3x3 convolutions with `width`, 2 width and 4 width filters, and a dense layer.

    A max pool follows each convolution. The dense layer has 8 width units.
    """
    del training
    x = images
    for i in range(3):
        filters = width * 2**i
        x = layers.conv2d(x, filters, 3, padding="same", activation="relu", name=f"conv{i + 1}")
        x = layers.max_pooling2d(x, 2, 2, name=f"pool{i + 1}")
    x = layers.flatten(x, name="flatten")
    x = layers.dense(x, 8 * width, activation="relu", name="dense1")
    return layers.dense(x, num_classes, name="logits")


def main() -> None:
    """Make the runs that are missing, then write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of CIFAR-10's files")
    parser.add_argument("--work_dir", default="./save/data_size", help="folder of the runs")
    parser.add_argument("--quick", action="store_true", help="train little, and write no page")
    args = parser.parse_args()
    sizes, steps = (QUICK_SIZES, QUICK_STEPS) if args.quick else (SIZES, STEPS)
    work_dir = Path(args.work_dir) / ("quick" if args.quick else "whole")
    results = study(load_dataset("cifar10", args.data_dir), work_dir, sizes, steps)
    if args.quick:
        print("\n".join(table(results)))
        return
    write_atomically(ROOT / "results/data_size.json", json.dumps(results, indent=1) + "\n")
    write_atomically(ROOT / "docs/data_size.md", page(results))
    draw(results, ROOT / "docs/data_size.png")


def part_of(train: Split, size: int, num_classes: int) -> Split:
    """Return `size` training images, equally many of each class; a larger part has all of them."""
    order = np.random.default_rng(1).permutation(len(train.labels))
    in_class = [order[train.labels[order] == number] for number in range(num_classes)]
    # The first image of each class, then the second one, and so on.
    shortest = min(map(len, in_class))
    chosen = np.stack([numbers[:shortest] for numbers in in_class], axis=1).ravel()[:size]
    if len(chosen) < size:
        raise SystemExit(f"error: a part of {size} images is more than {len(chosen)}")
    return Split(train.images[chosen], train.labels[chosen])


def study(data: Dataset, work_dir: Path, sizes: tuple[int, ...], steps: int) -> dict[str, Any]:
    """Train each network on each part, if that was not done before; return the results."""
    runs: dict[str, dict[str, Any]] = {name: {} for name in WIDTHS}
    made = []
    for size in sizes:
        part = part_of(data.train, size, data.spec.num_classes)
        for name in WIDTHS:
            folder = work_dir / f"{name}-{size}"
            runs[name][str(size)] = learn(name, part, data.test, folder, steps)
            made.append(read_provenance(folder))
    return {
        "sizes": list(sizes),
        "steps": steps,
        "options": OPTIONS,
        "widths": WIDTHS,
        "test_images": len(data.test.labels),
        "runs": runs,
        **joined_provenance(made),
    }


def learn(name: str, train: Split, test: Split, folder: Path, steps: int) -> dict[str, Any]:
    """Train a network on some images, or return what an earlier call has found.

    Returns:
        accuracy on the test images, train_accuracy on at most MEASURED training images, and
        parameters.
    """
    found = folder / "found.json"
    if found.is_file():
        known: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
        return known
    print(f"{folder.name} ...", file=sys.stderr, flush=True)
    options = {**OPTIONS, "steps": steps, "save_dir": str(folder), "quiet": True}
    pairs = ((train.images, train.labels), (test.images, test.labels))
    with Train(model=network, data=pairs, model_options={"width": WIDTHS[name]}, **options) as run:
        result = run.train()
        if run.control.stop_signal is not None:
            raise SystemExit(128 + run.control.stop_signal)
        trained = run.evaluate("train", limit=MEASURED)
        parameters = sum(int(np.prod(v.shape)) for v in run.train_graph.variables)
    facts = {
        "accuracy": result["accuracy"],
        "train_accuracy": trained["accuracy"],
        "parameters": parameters,
    }
    write_atomically(found, json.dumps(facts) + "\n")
    return facts


def table(results: Mapping[str, Any]) -> list[str]:
    """Return the accuracies as a Markdown table."""
    runs = results["runs"]
    heads = [f"{name}: test (train)" for name in runs]
    lines = [f"| training images | {' | '.join(heads)} |", f"|---|{'---|' * len(runs)}"]
    for size in results["sizes"]:
        row = [of_size[str(size)] for of_size in runs.values()]
        best = max(run["accuracy"] for run in row)
        cells = [f"{marked(run['accuracy'], best)} ({run['train_accuracy']:.1%})" for run in row]
        lines.append(f"| {size:,} | {' | '.join(cells)} |")
    return lines


def marked(accuracy: float, best: float) -> str:
    """Return an accuracy in percent, in bold if it is the best."""
    return f"**{accuracy:.1%}**" if accuracy == best else f"{accuracy:.1%}"


def page(results: Mapping[str, Any]) -> str:
    """Return docs/data_size.md."""
    runs, smallest = results["runs"], str(results["sizes"][0])
    sizes = "; ".join(
        f"{name}: width {results['widths'][name]}, {of_size[smallest]['parameters']:,} parameters"
        for name, of_size in runs.items()
    )
    lines = [
        "# Accuracy against the size of the training set",
        "",
        *filled(
            f"Three networks of one form learn parts of CIFAR-10 ({sizes}). Each has three 3x3 "
            "convolutions with a max pool after each, and a hidden dense layer. A part has equally "
            "many images of each class, and a larger part has all images of a smaller one. Every "
            f"run makes {results['steps']:,} steps of {results['options']['batch_size']} images, "
            "without augmentation or penalty, with one seed. The settings were fixed before the "
            "first run. The accuracy is that of the last step on all "
            f"{results['test_images']:,} test images; in brackets, that on at most {MEASURED:,} of "
            "the training images. This command wrote the page:"
        ),
        "",
        "    python scripts/data_size_study.py",
        "",
        "![test accuracy by number of training images](data_size.png)",
        "",
        *table(results),
        "",
        "Bold: the best of a row on test images.",
        "",
        *machine_lines(dict(results)),
    ]
    return "\n".join(lines) + "\n"


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw the test accuracies over the number of training images, one line for each network."""
    figure, axes = plt.subplots(figsize=(6.4, 4.4))
    for name, of_size in results["runs"].items():
        shares = [100 * of_size[str(size)]["accuracy"] for size in results["sizes"]]
        parameters = of_size[str(results["sizes"][0])]["parameters"]
        label = f"{name} ({parameters:,} parameters)"
        axes.plot(results["sizes"], shares, marker="o", linewidth=1.6, label=label)
    axes.set_xscale("log")
    axes.set_xticks(results["sizes"], [f"{size:,}" for size in results["sizes"]])
    axes.minorticks_off()
    axes.set_xlabel("training images")
    axes.set_ylabel("test accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
