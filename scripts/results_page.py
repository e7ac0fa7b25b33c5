"""docs/results.md: what the recipes reach, beside what their texts claim."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cnnlab.config.recipes import VIEWS, load_about, recipe_paths, source_of
from cnnlab.config.resolve import changed_options, differing_options, resolve
from scripts.bench.markdown import GENERATED, filled
from scripts.bench.report import machine_lines
from scripts.transfer_page import transfer_section

Row = Mapping[str, Any]
LOSSES: Final = {"test loss": "test_losses", "train loss": "train_losses"}  # column to key
CLAIMED_LOSSES: Final = {"test_losses": "claimed_loss", "train_losses": "claimed_train_loss"}
COLUMNS: Final = (
    "text",
    "recipe",
    "claimed",
    "aim",
    "test accuracy",
    "seeds",
    "with views",
    "train",
    *LOSSES,
    "chosen",
    "steps",
    "seconds",
    "images/s",
    "commit",
    "on",
)
UNKNOWN: Final = "–"


def results_page(rows: Iterable[Row], transfer: Mapping[str, Any] | None = None) -> str:
    """Return docs/results.md.

    Args:
        rows: those of results/reproduction.json.
        transfer: the content of results/transfer.json, if it is there.
    """
    by_name = {row["system"]: row for row in rows}
    about = {name: load_about(name) for name in recipe_paths()}
    has_losses = any(row.get("test_losses") for row in by_name.values())
    columns = [column for column in COLUMNS if has_losses or column not in LOSSES]
    introduction = _introduction(has_losses=has_losses)
    lines = [GENERATED.format(source="configs/ and results/"), "", *introduction]
    lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    machines: list[list[str]] = []
    for name in sorted(filter(by_name.get, about), key=lambda name: _place(name, about)):
        row = by_name[name]
        machine = machine_lines({**row, "commit": None})
        if machine not in machines:
            machines.append(machine)
        cells = _cells(name, about[name], by_name) | {"on": str(machines.index(machine) + 1)}
        lines.append(f"| {' | '.join(cells[column] for column in columns)} |")
    for number, machine in enumerate(machines, start=1):
        lines += ["", f"Machine {number}:", "", *machine]
    if transfer is not None:
        lines += ["", *transfer_section(transfer)]
    lines += ["", "## The recipes", ""]
    for name, path in recipe_paths().items():
        text = f", {about[name]['text']}" if "text" in about[name] else ""
        state = "" if name in by_name else " Not measured yet."
        item = f"[`{name}`](../configs/{path.name}){text}: {source_of(path)}{state}"
        lines += filled(item, "- ", "  ")
    return "\n".join(lines) + "\n"


def _introduction(*, has_losses: bool) -> list[str]:
    paragraphs = [
        "A recipe is a YAML file of options in `configs/`. Most of them follow a text on "
        "convolutional networks, and the letter names the text. *Claimed* is the test accuracy "
        "that the text states, *with views* if it is the mean over several views of each test "
        "image. *Aim* is a figure of cnnlab's where the text states none.",
        "*Test accuracy* is measured after the last step, on all test images, each seen once: the "
        "mean over the seeds and their standard deviation in percentage points. **Below** means: "
        "below the claim or the aim. *Seeds* has the figure of each seed 1, 2, ... *With views* is "
        "the test accuracy as the mean over several views of each test image (option `tta`), if "
        "the recipe uses them; a claim with views is compared with it. *Train* is the accuracy on "
        "the training set without dropout, augmentation and views. "
        f"{UNKNOWN} means that older runs did not measure it.",
        "*Chosen* says whose settings the run had. Where cnnlab chose them on test images, the "
        "test accuracy is too good by an unknown amount. A recipe that is meant to exceed another "
        "one stands below it. *Other settings then* names options that the recipe has changed "
        "since the run, also those that only change its time. Seconds and images/s are means over "
        "the seeds. The last column is the number of the machine below.",
    ]
    if has_losses:
        paragraphs.append(
            "*Test loss* and *train loss* are the means of the recipe's loss, a cross-entropy in "
            "nats, over the same images as *test accuracy* and *train*. **Above** means: above "
            "the text's. Rows of older runs have none."
        )
    lines = ["# Recipes and results"]
    for paragraph in paragraphs:
        lines += ["", *filled(paragraph)]
    command = "    python -m cnnlab.reproduce RECIPE --seeds=3"
    repeats = "This command repeats a row and writes it to `results/reproduction.json`:"
    return [*lines, "", repeats, "", command]


def _place(name: str, about: Mapping[str, Mapping[str, Any]]) -> tuple[Any, ...]:
    """Return the sort key of a recipe: by its text, and after the recipe that it exceeds."""
    chain = [name]
    while (base := about[chain[0]].get("better_than")) in about and base not in chain:
        chain.insert(0, base)
    text = about[name].get("text", "")
    return text == "records", text, chain


def _cells(name: str, about: Mapping[str, Any], by_name: Mapping[str, Row]) -> dict[str, str]:
    """Return the cells of a row by column, but the number of the machine."""
    row = by_name[name]
    has_views = row.get("tta", "none") != "none"
    seen_once = row.get("accuracies_without_views") if has_views else row["accuracies"]
    is_with_views = has_views and (about.get("claimed_with") == VIEWS or not seen_once)
    goal = about.get("claimed", about.get("aim"))
    # As printed, so that no row is below a figure that it shows.
    mean = round(statistics.fmean(row["accuracies"] if is_with_views else seen_once), 4)
    mark = ", **below**" if goal is not None and mean < goal else ""
    train = row.get("train_accuracies")
    stated = f" (claimed {percent(about['claimed_train'])})" if "claimed_train" in about else ""
    with_views = f" with {VIEWS}" if about.get("claimed_with") == VIEWS else ""
    return {
        "text": str(about.get("text", "")),
        "recipe": f"`{name}`{_compared(name, about.get('better_than'), by_name)}"
        f"{_changes(name, row)}",
        "claimed": percent(about.get("claimed")) + with_views,
        "aim": percent(about["aim"]) if "aim" in about else "",
        "test accuracy": spread(seen_once) + mark * (not is_with_views) if seen_once else UNKNOWN,
        "seeds": ", ".join(map(percent, seen_once or row["accuracies"])),
        "with views": spread(row["accuracies"]) + mark * is_with_views if has_views else "",
        "train": spread(train) + stated if train else UNKNOWN,
        **{
            column: _loss(row.get(key), about.get(CLAIMED_LOSSES[key]))
            for column, key in LOSSES.items()
        },
        "chosen": _chosen(name, about, row),
        "steps": f"{row['steps']:,}",
        "seconds": f"{row['seconds']:,.0f}",
        "images/s": f"{row['images_per_sec']:,.0f}",
        "commit": str(row["commit"] or ""),
    }


def _loss(losses: Sequence[float] | None, claimed: float | None) -> str:
    """Return a cell: the mean loss over the seeds, its standard deviation, and the claim."""
    if not losses:
        return ""
    mean = statistics.fmean(losses)
    cell = f"{mean:.4f}" + (f" ± {statistics.stdev(losses):.4f}" if len(losses) > 1 else "")
    if claimed is None:
        return cell
    return f"{cell} (claimed {claimed:g}){', **above**' if round(mean, 4) > claimed else ''}"


def _chosen(name: str, about: Mapping[str, Any], row: Row) -> str:
    """Return who chose the settings of the run.

    Rows of older runs do not say it. If they had the recipe's settings, the recipe does.
    """
    if "chosen" in row:
        return row["chosen"] or ""
    if "options" in row:
        then, now = resolve(row["options"]), resolve({"config": name})
        shaping = {"steps", "epochs", "tta", *differing_options(then, now)}
        if shaping & set(changed_options(then, now)):
            return "not recorded: the settings were others then"
    return str(about.get("chosen", ""))


def _compared(name: str, other: str | None, by_name: Mapping[str, Row]) -> str:
    """Return how a recipe compares with the one that it is meant to exceed."""
    if other is None:
        return ""
    if other not in by_name:
        return f", meant to exceed `{other}`"
    mine, others = (figures_to_compare(by_name[system]) for system in (name, other))
    kind = next((kind for kind in mine if kind in others), None)
    if kind is None:
        return f", meant to exceed `{other}`"
    return f", {'exceeds' if mine[kind] > others[kind] else 'does **not** exceed'} `{other}`"


def _changes(name: str, row: Row) -> str:
    """Return which options had other values when the row was measured, or ""."""
    if "options" not in row:
        return ""
    changed = changed_options(resolve(row["options"]), resolve({"config": name}))
    return f"; **other settings then**: {', '.join(changed)}" if changed else ""


def figures_to_compare(row: Row) -> dict[str, float]:
    """Return the mean test accuracy by the test-time views it was measured with."""
    means = {row.get("tta", "none"): statistics.fmean(row["accuracies"])}
    if row.get("accuracies_without_views"):
        means["none"] = statistics.fmean(row["accuracies_without_views"])
    return dict(sorted(means.items(), key=lambda item: item[0] != "none"))


def spread(accuracies: Sequence[float]) -> str:
    """Return the mean of accuracies in [0, 1] and, of several, their standard deviation."""
    mean = percent(statistics.fmean(accuracies))
    if len(accuracies) == 1:
        return mean
    return f"{mean} ± {100 * statistics.stdev(accuracies):.2f}"


def percent(accuracy: float | None) -> str:
    """Return an accuracy in [0, 1] as a cell; None: the text states none."""
    return "none" if accuracy is None else f"{accuracy:.2%}"
