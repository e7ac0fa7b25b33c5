"""docs/ablations.md and its picture, from results/ablations.json."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from scripts.bench.markdown import filled
from scripts.bench.report import machine_lines

Options = dict[str, Any]
SPLITS: Final = ("train", "validation", "test")
HEADINGS: Final = {"lrn": "LRN, L2 and augmentation of cifar_lrn"}  # else the capitalized title


def markdown(results: Mapping[str, Any]) -> str:
    """Return the page of tables."""
    lines = [
        "# What each ingredient does",
        "",
        *filled(
            "Accuracies on training images (without dropout and augmentation), on validation "
            "images, and on test images, after the last step: means over the seeds 1, 2, ... and "
            "their standard deviations in percentage points. The gap is training minus test. Where "
            "an ingredient has a strength, it was chosen by the validation accuracy with another "
            "seed. The test images chose nothing. This wrote the page:"
        ),
        "",
        "    python scripts/bench/ablations.py --data_dir=./data",
        *["    python scripts/bench/ablations.py --data_dir=./data --tables=lrn"]
        * ("lrn" in results["tables"]),
        "",
        "![accuracy on training and test images](ablations.png)",
    ]
    tables = results["tables"]
    made = {title: machine_lines(table) for title, table in tables.items()}
    is_shared = len({tuple(lines) for lines in made.values()}) == 1
    for title, table in tables.items():
        images = "all but the validation images" if table["images"] is None else table["images"]
        about = f"{table['about']}; {table['steps']:,} steps; training images: {images}."
        columns = ("", "options", *SPLITS, "gap", "seeds")
        lines += ["", f"## {_heading(title)}", "", *filled(about), ""]
        lines += [f"| {' | '.join(columns)} |".replace("|  |", "| |"), "|---" * len(columns) + "|"]
        for row in table["rows"]:
            cells = [row["kind"], _shown(row["options"])]
            cells += [spread([seed[split] for seed in row["seeds"]]) for split in SPLITS]
            cells += [spread([gap(seed) for seed in row["seeds"]]), str(len(row["seeds"]))]
            lines.append(f"| {' | '.join(cells)} |")
        for row in table["rows"]:
            tried = [f"{_shown(t['options'])} {t['validation']:.1%}" for t in row["tried"]]
            if tried:
                text = f"{row['kind']}: validation accuracy of the candidates: {', '.join(tried)}."
                lines += ["", *filled(text)]
        if remarks := " ".join(_remarks(table["rows"])):
            lines += ["", *filled(remarks)]
        if not is_shared:
            lines += ["", *made[title]]
    if is_shared:
        lines += ["", *next(iter(made.values()))]
    return "\n".join(lines) + "\n"


def _remarks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return sentences on what a table shows though one would not expect it.

    Args:
        rows: the first is of the plain network, and candidates go from weak to strong.
    """
    tests = {row["kind"]: [seed["test"] for seed in row["seeds"]] for row in rows}
    gaps = {row["kind"]: statistics.fmean(map(gap, row["seeds"])) for row in rows}
    plain, *others = gaps
    remarks = [
        f"{kind[0].upper()}{kind[1:]} widens the gap, {100 * gaps[kind]:.1f} points against "
        f"{100 * gaps[plain]:.1f}, yet it is the best on test images, with every seed."
        for kind in others
        if gaps[kind] > gaps[plain]
        and min(tests[kind]) > max(max(tests[other]) for other in tests if other != kind)
    ]
    chosen = [(row["options"], row["tried"][0]["options"]) for row in rows if row["tried"]]
    if chosen and all(options == weakest for options, weakest in chosen):
        remarks.append(
            "Each strength chosen is the weakest candidate, so a better one may lie outside the "
            "candidates."
        )
    return remarks


def _heading(title: str) -> str:
    return HEADINGS.get(title, title.capitalize())


def _shown(options: Options) -> str:
    texts = [
        "'" + json.dumps(value).replace('"', "") + "'" if isinstance(value, dict | list) else value
        for value in options.values()
    ]
    return " ".join(f"`--{k}={v}`" for k, v in zip(options, texts, strict=True)) or "none"


def gap(figures: Mapping[str, float]) -> float:
    """Return by how much training images are more often right than test images."""
    return figures["train"] - figures["test"]


def spread(values: Sequence[float]) -> str:
    """Return the mean of fractions and, of several, their standard deviation, in percent."""
    mean = f"{100 * statistics.fmean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def plot(results: Mapping[str, Any], path: Path) -> None:
    """Draw the mean accuracy on training and test images, a panel for each table."""
    tables = results["tables"]
    figure, panels = plt.subplots(1, len(tables), figsize=(5.2 * len(tables), 4.2), squeeze=False)
    for panel, (title, table) in zip(panels[0], tables.items(), strict=True):
        kinds = [row["kind"] for row in table["rows"]]
        for split, offset in (("train", 0.2), ("test", -0.2)):
            values = [[100 * seed[split] for seed in row["seeds"]] for row in table["rows"]]
            spreads = [statistics.stdev(v) if len(v) > 1 else 0.0 for v in values]
            places = [offset - place for place in range(len(kinds))]
            means = [statistics.fmean(v) for v in values]
            panel.barh(places, means, height=0.38, xerr=spreads, label=split)
        panel.set_yticks([-place for place in range(len(kinds))], kinds)
        panel.set_title(_heading(title))
        panel.set_xlabel("accuracy, %")
        panel.set_xlim(0, 100)
        panel.grid(axis="x", alpha=0.3)
    panels[0][0].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
