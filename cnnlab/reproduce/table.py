"""The table of the results of recipes: its rows, its file, and how it is printed."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.file_system import folder_locked
from cnnlab.base.files import cannot_write, read_text, translate_os_errors, write_atomically
from cnnlab.config.terminal import render_table

_MAX_BYTES = 100_000_000


class Table:
    """A JSON file with a list of rows, one for each system, in alphabetical order."""

    def __init__(self, path: Path) -> None:
        """Read the file, if it exists, to report its errors before any run.

        Raises:
            CnnlabError: the file exists, but is not a table.
        """
        self.path = path
        self.rows()

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows that are in the file now.

        Raises:
            CnnlabError: the file is not a table.
        """
        if not self.path.exists():
            return []
        try:
            rows: list[dict[str, Any]] = json.loads(read_text(self.path, _MAX_BYTES))
            _ = [row["system"] + "" for row in rows]
        except (ValueError, TypeError, KeyError) as error:
            raise CnnlabError(
                f"{self.path} is not a table of results ({str(error)[:100]}); choose another --out"
            ) from error
        return rows

    def check_writable(self) -> None:
        """Create the folder of the file.

        Raises:
            CnnlabError: it cannot be created, or it is not writable.
        """
        folder = self.path.parent
        with translate_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise cannot_write(folder, "Permission denied")

    def put(self, row: dict[str, Any]) -> None:
        """Add a row to the file. It replaces an earlier row of the same system.

        The file is read again first, because another process may have added rows meanwhile. Its
        folder is locked until the new file is there.

        Raises:
            CnnlabError: the file cannot be written, or is not a table any more.
        """
        with translate_os_errors(self.path), folder_locked(self.path.parent):
            kept = [other for other in self.rows() if other["system"] != row["system"]]
            rows = sorted([*kept, row], key=lambda other: other["system"])
            write_atomically(self.path, json.dumps(rows, indent=2) + "\n")


def row_of(
    name: str,
    about: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    where: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the row of one recipe.

    Args:
        name: the name of the recipe.
        about: the facts of the recipe's text, from `cnnlab.config.recipes.load_about`.
        results: for each seed: seed, step, accuracy (in [0, 1], on the test set), seconds,
            images_per_sec; and, if measured, train_accuracy, accuracy_without_views, test_loss and
            train_loss.
        where: tta (the test-time views of `accuracy`), options (those of the recipe), machine,
            versions and commit.

    Returns:
        system (the name), text, claimed, aim and chosen (None if the recipe has none), accuracies
        (of each seed), train_accuracies, accuracies_without_views, test_losses and train_losses
        (None if not measured), steps, seeds, and the entries of `where`. Also means over the seeds:
        reached (the accuracy), seconds and images_per_sec.
    """
    accuracies = [result["accuracy"] for result in results]
    speeds = [result["images_per_sec"] for result in results]
    if None in speeds:
        raise CnnlabError(
            f"{name}: metrics.jsonl of a run has no line of the split train, so no throughput; "
            "train it again, with another --save_dir"
        )
    mean_speed = statistics.fmean(speeds)
    return {
        "system": name,
        "text": about.get("text"),
        "claimed": about.get("claimed"),
        "aim": about.get("aim"),
        "chosen": about.get("chosen"),
        "reached": statistics.fmean(accuracies),
        "accuracies": accuracies,
        "accuracies_without_views": _of_each(results, "accuracy_without_views"),
        "train_accuracies": _of_each(results, "train_accuracy"),
        "test_losses": _of_each(results, "test_loss"),
        "train_losses": _of_each(results, "train_loss"),
        "steps": results[0]["step"],
        "seconds": round(statistics.fmean(result["seconds"] for result in results), 1),
        "images_per_sec": round(mean_speed, 1),
        "seeds": [result["seed"] for result in results],
        **where,
    }


def _of_each(results: Sequence[Mapping[str, Any]], name: str) -> list[float] | None:
    """Return the figure of each seed; None if a seed has none."""
    figures = [result[name] for result in results if name in result]
    return figures if len(figures) == len(results) else None


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a Markdown table, followed by the machines they were measured on."""
    lines = [
        "| text | recipe | claimed | aim | reached (seeds) | train | steps | seconds | images/s "
        "| commit |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    machines: list[str] = []
    for row in rows:
        if (machine := _machine_line(row)) not in machines:
            machines.append(machine)
        stated = [row["claimed"], row["aim"]]
        goals = ["none" if goal is None else f"{goal:.2%}" for goal in stated]
        trained = statistics.fmean(row["train_accuracies"] or [math.nan])
        each = ", ".join(f"{accuracy:.2%}" for accuracy in row["accuracies"])
        reached = each if len(row["seeds"]) == 1 else f"{row['reached']:.2%} ({each})"
        cells = [
            row["text"] or "",
            f"`{row['system']}`",
            *goals,
            reached,
            "" if math.isnan(trained) else f"{trained:.2%}",
            f"{row['steps']:,}",
            f"{row['seconds']:,.0f}",
            f"{row['images_per_sec']:,.0f}",
            row["commit"] or "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *machines]) + "\n"


def _machine_line(row: Mapping[str, Any]) -> str:
    machine = row["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    return (
        f"{machine['cpu']} ({', '.join(machine['cpu_features'])}), {machine['cores']} cores, "
        f"{machine['ram_gb']} GB; {versions}."
    )


def listing(states: Sequence[Mapping[str, Any]]) -> str:
    """Return the progress of recipes as a table for people, with the time left for all of them.

    Args:
        states: the progress of each recipe, from `cnnlab.reproduce.progress_of`.
    """
    columns = ["recipe", "claimed", "reached", "steps done", "time left"]
    rows = [
        [
            state["system"],
            "none" if state["claimed"] is None else f"{state['claimed']:.2%}",
            "" if state["reached"] is None else f"{state['reached']:.2%}",
            f"{state['steps_made']}/{state['steps']}",
            _duration(state["seconds_left"]),
        ]
        for state in states
    ]
    known = sum(state["seconds_left"] or 0 for state in states)
    rows.append(["all", "", "", "", _duration(known)])
    lines = [render_table(columns, rows)]
    unknown = sum(state["seconds_left"] is None for state in states)
    if unknown:
        lines.append(f"without {unknown} whose speed is unknown; --quick measures it")
    return "\n".join(lines)


def _duration(secs: float | None) -> str:
    if secs is None or not math.isfinite(secs):
        return "unknown"
    minutes = math.ceil(secs / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
